#include "options.h"

#include <errno.h>
#include <math.h>
#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "secret.h"

/* What poptGetNextOpt() returns for each option. */
enum {
    OPTION_HELP = 'h',
    OPTION_WIRE = 'w',
    OPTION_TIMEOUT = 't',
    OPTION_MAX_MESSAGE = 'm',
    OPTION_QUIET = 'q',
    OPTION_COUNT = 'c',
    OPTION_OUTPUT = 'o',
    OPTION_FRAMING = 'f',
    OPTION_NULL = '0',
    OPTION_ONCE = '1',
    OPTION_VERBOSE = 'v',
    OPTION_SECRET = 256,
    OPTION_ANY_USER,
    OPTION_LISTEN_WIRE,
    OPTION_CONNECT_WIRE,
    OPTION_LISTEN_SECRET,
    OPTION_CONNECT_SECRET
};

/* clang-format off */
static const struct poptOption common_table[] = {
    {"wire", 'w', POPT_ARG_STRING, NULL, OPTION_WIRE,
     "How messages look on the way: native (default) or plain", "WIRE"},
    {"timeout", 't', POPT_ARG_STRING, NULL, OPTION_TIMEOUT,
     "Fail when nothing has happened for so long (default: 10 to connect, else no limit)",
     "SECONDS"},
    {"max-message", 'm', POPT_ARG_STRING, NULL, OPTION_MAX_MESSAGE,
     "Largest message to take or send; K, M and G are understood (default 64M)", "BYTES"},
    {"secret-file", '\0', POPT_ARG_STRING, NULL, OPTION_SECRET,
     "Prove to know what is in FILE, and take only a peer that does; native wire", "FILE"},
    {"any-user", '\0', POPT_ARG_NONE, NULL, OPTION_ANY_USER,
     "Serve clients of other users too, and believe their servers on TCP", NULL},
    {"quiet", 'q', POPT_ARG_NONE, NULL, OPTION_QUIET, "Say nothing but errors", NULL},
    {"help", 'h', POPT_ARG_NONE, NULL, OPTION_HELP, "Show this help", NULL},
    POPT_TABLEEND};

static const struct poptOption messages_table[] = {
    {"count", 'c', POPT_ARG_STRING, NULL, OPTION_COUNT, "End after N messages", "N"},
    {"output", 'o', POPT_ARG_STRING, NULL, OPTION_OUTPUT,
     "Write each message to a file of its own, DIR/000001 and on", "DIR"},
    POPT_TABLEEND};

static const struct poptOption framing_table[] = {
    {"framing", 'f', POPT_ARG_STRING, NULL, OPTION_FRAMING,
     "What tells messages apart on standard input and output: line (default), null, none or "
     "length (4 bytes before each)", "FRAMING"},
    {"null", '0', POPT_ARG_NONE, NULL, OPTION_NULL, "The same as --framing=null", NULL},
    POPT_TABLEEND};

static const struct poptOption stats_table[] = {
    {"verbose", 'v', POPT_ARG_NONE, NULL, OPTION_VERBOSE, "Say at the end what went over", NULL},
    POPT_TABLEEND};

static const struct poptOption target_table[] = {
    {"listen-wire", '\0', POPT_ARG_STRING, NULL, OPTION_LISTEN_WIRE,
     "The wire of the first address only", "WIRE"},
    {"connect-wire", '\0', POPT_ARG_STRING, NULL, OPTION_CONNECT_WIRE,
     "The wire of the second address only", "WIRE"},
    {"listen-secret-file", '\0', POPT_ARG_STRING, NULL, OPTION_LISTEN_SECRET,
     "The secret of the first address only", "FILE"},
    {"connect-secret-file", '\0', POPT_ARG_STRING, NULL, OPTION_CONNECT_SECRET,
     "The secret of the second address only", "FILE"},
    POPT_TABLEEND};

static const struct poptOption clients_table[] = {
    {"once", '1', POPT_ARG_NONE, NULL, OPTION_ONCE, "Serve one client, then end", NULL},
    POPT_TABLEEND};
/* clang-format on */

static void include_table(struct poptOption *entry, const struct poptOption *table) {
    /* popt declares the member without const; it does not write there. */
    union {
        const void *constant;
        void *plain;
    } pointer;

    pointer.constant = table;
    memset(entry, 0, sizeof *entry);
    entry->argInfo = POPT_ARG_INCLUDE_TABLE;
    entry->arg = pointer.plain;
}

static int parse_seconds(const char *text, int64_t *milliseconds) {
    char *end = NULL;
    double seconds;

    errno = 0;
    seconds = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !isfinite(seconds) || seconds < 0 ||
        seconds > 1e9) {
        report("--timeout: \"%s\" is not a number of seconds", text);
        return 0;
    }
    /* Rounded up: the shortest time is not none. */
    *milliseconds = (int64_t)(seconds * 1000 + 0.999);
    return 1;
}

/* A number without a sign. `end` receives what follows it. */
static int parse_number(const char *text, uint64_t *number, const char **end) {
    char *rest = NULL;
    unsigned long long value;

    if (text[0] < '0' || text[0] > '9') {
        return 0;
    }
    errno = 0;
    value = strtoull(text, &rest, 10);
    if (errno != 0) {
        return 0;
    }
    *number = value;
    *end = rest;
    return 1;
}

static int parse_count(const char *text, uint64_t *count) {
    const char *end = NULL;

    if (!parse_number(text, count, &end) || *end != '\0' || *count == 0) {
        report("--count: \"%s\" is not a number of messages", text);
        return 0;
    }
    return 1;
}

static int parse_size(const char *text, uint64_t *size) {
    static const char units[] = "KMG";
    const uint64_t largest = UINT32_MAX;
    const char *end = NULL;
    const char *unit;
    unsigned shift = 0;

    if (parse_number(text, size, &end)) {
        if (*end != '\0' && (unit = strchr(units, *end)) != NULL) {
            shift = 10 * (unsigned)(unit - units + 1);
            end++;
        }
        if (*end == '\0' && *size > 0 && *size <= (largest >> shift)) {
            *size <<= shift;
            return 1;
        }
    }
    report("--max-message: \"%s\" is not a size from 1 byte to 4 GiB - 1", text);
    return 0;
}

static int parse_wire(const char *option, const char *text, int32_t *wire) {
    if (strcmp(text, "native") == 0) {
        *wire = FER_WIRE_NATIVE;
    } else if (strcmp(text, "plain") == 0) {
        *wire = FER_WIRE_PLAIN;
    } else {
        report("--%s: \"%s\" is neither native nor plain", option, text);
        return 0;
    }
    return 1;
}

static int parse_framing(const char *text, enum framing *framing) {
    static const char *const names[] = {"line", "null", "none", "length"};

    for (int i = 0; i < 4; i++) {
        if (strcmp(text, names[i]) == 0) {
            *framing = (enum framing)i;
            return 1;
        }
    }
    report("--framing: \"%s\" is none of line, null, none and length", text);
    return 0;
}

static int apply(struct options *options, int option, const char *text) {
    switch (option) {
    case OPTION_WIRE:
        return parse_wire("wire", text, &options->channel.wire) &&
               parse_wire("wire", text, &options->target_channel.wire);
    case OPTION_LISTEN_WIRE: return parse_wire("listen-wire", text, &options->channel.wire);
    case OPTION_CONNECT_WIRE:
        return parse_wire("connect-wire", text, &options->target_channel.wire);
    case OPTION_SECRET:
        return secret_load(&options->secret, text) &&
               secret_copy(&options->target_secret, &options->secret);
    case OPTION_LISTEN_SECRET: return secret_load(&options->secret, text);
    case OPTION_CONNECT_SECRET: return secret_load(&options->target_secret, text);
    case OPTION_ANY_USER: options->any_user = 1; return 1;
    case OPTION_VERBOSE: options->verbose = 1; return 1;
    case OPTION_TIMEOUT: return parse_seconds(text, &options->timeout_ms);
    case OPTION_MAX_MESSAGE: return parse_size(text, &options->channel.max_message);
    case OPTION_COUNT: return parse_count(text, &options->count);
    case OPTION_FRAMING: return parse_framing(text, &options->framing);
    case OPTION_NULL: options->framing = FRAMING_NULL; return 1;
    case OPTION_ONCE: options->once = 1; return 1;
    case OPTION_QUIET: report_set_quiet(1); return 1;
    default: return 0;
    }
}

/* Returns 1 to go on, 0 when help was shown, -1 after a complaint. */
static int read_options(struct options *options, poptContext parser, const char *summary) {
    int option;

    while ((option = poptGetNextOpt(parser)) >= 0) {
        char *text;
        int good;

        if (option == OPTION_HELP) {
            poptPrintHelp(parser, stdout, 0);
            printf("\n%s\n", summary);
            return 0;
        }
        text = poptGetOptArg(parser);
        if (option == OPTION_OUTPUT) {
            free((void *)(uintptr_t)options->output);
            options->output = text;
            continue;
        }
        good = apply(options, option, text);
        free(text);
        if (!good) {
            return -1;
        }
    }
    if (option < -1) {
        report("%s: %s", poptBadOption(parser, POPT_BADOPTION_NOALIAS), poptStrerror(option));
        return -1;
    }
    return 1;
}

static int check_address(const char *address) {
    fer_status status = fer_address_check(address);

    if (status != FER_OK) {
        report_status(status, "%s", address);
    }
    return status == FER_OK;
}

static int read_arguments(struct options *options, poptContext parser, int takes) {
    static const char *const none[] = {NULL};
    const char **arguments = poptGetArgs(parser);

    if (arguments == NULL || arguments[0] == NULL) {
        report("an address is missing, such as pipe:name or pipe:/path");
        return 0;
    }
    options->address = *arguments++;
    if (takes & TAKES_TARGET) {
        if (arguments[0] == NULL) {
            report("a second address is missing: where to connect to");
            return 0;
        }
        options->target = *arguments++;
    }
    options->files = arguments[0] != NULL ? arguments : none;
    if (arguments[0] != NULL && !(takes & TAKES_FILES)) {
        report("\"%s\" is one argument too many", arguments[0]);
        return 0;
    }
    return check_address(options->address) &&
           (options->target == NULL || check_address(options->target));
}

static const char *usage_of(int takes) {
    if (takes & TAKES_TARGET) {
        return "[OPTION...] ADDRESS ADDRESS";
    }
    return (takes & TAKES_FILES) ? "[OPTION...] ADDRESS [FILE...]" : "[OPTION...] ADDRESS";
}

/* What the options come to for the channels of one side. */
static void settle(const struct options *options, const struct secret *secret,
                   fer_channel_options *channel) {
    channel->max_message = options->channel.max_message;
    channel->secret = secret->bytes;
    channel->secret_size = secret->size;
    if (options->any_user) {
        channel->flags |= FER_CHANNEL_ANY_USER;
    }
    if (options->timeout_ms >= 0) {
        /* In the library 0 means the default, here it means not to wait. */
        int64_t timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : 1;

        channel->connect_timeout_ms = timeout_ms;
        channel->handshake_timeout_ms = timeout_ms;
    }
}

int options_parse(struct options *options, const char *command, const char *summary, int takes,
                  int argc, const char **argv, int *result) {
    static const fer_channel_options channel = FER_CHANNEL_OPTIONS_INIT;
    static const struct poptOption end = POPT_TABLEEND;
    /* The parser keeps pointing at it. */
    static struct poptOption table[7];
    size_t used = 0;
    poptContext parser;
    int go_on;

    memset(options, 0, sizeof *options);
    options->channel = channel;
    options->target_channel = channel;
    options->timeout_ms = -1;

    if (takes & TAKES_MESSAGES) {
        include_table(&table[used++], messages_table);
    }
    if (takes & TAKES_FRAMING) {
        include_table(&table[used++], framing_table);
    }
    if (takes & TAKES_CLIENTS) {
        include_table(&table[used++], clients_table);
    }
    if (takes & TAKES_TARGET) {
        include_table(&table[used++], target_table);
    }
    if (takes & TAKES_STATS) {
        include_table(&table[used++], stats_table);
    }
    include_table(&table[used++], common_table);
    table[used] = end;

    *result = RESULT_USAGE;
    parser = poptGetContext(command, argc, argv, table, 0);
    if (parser == NULL) {
        report("out of memory");
        return 0;
    }
    options->parser = parser;
    poptSetOtherOptionHelp(parser, usage_of(takes));
    go_on = read_options(options, parser, summary);
    if (go_on == 1 && !read_arguments(options, parser, takes)) {
        go_on = -1;
    }
    if (go_on == 1) {
        settle(options, &options->secret, &options->channel);
        settle(options, &options->target_secret, &options->target_channel);
        return 1;
    }
    if (go_on == 0) {
        *result = RESULT_OK;
    } else {
        fprintf(stderr, "See %s --help\n", command);
    }
    options_free(options);
    return 0;
}

void options_free(struct options *options) {
    free((void *)(uintptr_t)options->output);
    options->output = NULL;
    secret_free(&options->secret);
    secret_free(&options->target_secret);
    poptFreeContext(options->parser);
    options->parser = NULL;
}
