/**
 * The command `ferrule`: channels from the shell. docs/command.md describes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "ferrule.h"
#include "options.h"
#include "report.h"
#include "runner.h"

struct command {
    const char *name;
    const char *title;   /* argv[0] in help and complaints */
    const char *summary; /* one line of the list of commands */
    const char *help;    /* what --help says below the options */
    int takes;
    int (*run)(const struct options *options);
};

static const struct command commands[] = {
    {"echo", "ferrule echo", "Listen, and send every message back to where it came from",
     "Serves any number of clients at once, until Ctrl-C.", TAKES_CLIENTS | TAKES_STATS,
     command_echo},
    {"inspect", "ferrule inspect", "Connect, say who is there and what it takes, and say goodbye",
     "Does not wait for a listener unless --timeout says so. Ends with 0 when a channel is there.",
     0, command_inspect},
    {"listen", "ferrule listen", "Listen, and print the messages that clients send",
     "Serves any number of clients at once, until Ctrl-C or --count. Messages of different\n"
     "clients are never mixed. A newline ends each message; see --framing.",
     TAKES_CLIENTS | TAKES_MESSAGES | TAKES_FRAMING | TAKES_STATS, command_listen},
    {"proxy", "ferrule proxy", "Listen at the first address, and join each client with the second",
     "Messages go both ways, from transport to transport and from wire to wire; handles do where "
     "both\n"
     "sides carry them. Who sends faster than the other side reads has to wait. A goodbye is "
     "passed on\n"
     "as a goodbye, and a death as a death.",
     TAKES_CLIENTS | TAKES_TARGET | TAKES_STATS, command_proxy},
    {"recv", "ferrule recv", "Connect, and print the messages that the server sends",
     "Ends when the server says goodbye, on Ctrl-C, or after --count messages. A newline ends\n"
     "each message; see --framing.",
     TAKES_MESSAGES | TAKES_FRAMING | TAKES_STATS, command_recv},
    {"send", "ferrule send", "Connect, and send files or lines as messages",
     "Each FILE is one message; - is standard input, whole. Without a FILE each line of standard\n"
     "input is a message, without its newline; see --framing. What the server sends is dropped.",
     TAKES_FRAMING | TAKES_FILES | TAKES_STATS, command_send},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_help(FILE *stream) {
    fprintf(stream, "Usage: ferrule COMMAND [OPTION...] ADDRESS [ADDRESS | FILE...]\n"
                    "       ferrule --help | --version\n\n"
                    "Sends and receives messages between processes on this machine.\n\n"
                    "Commands:\n");
    for (int i = 0; i < COMMAND_COUNT; i++) {
        fprintf(stream, "  %-8s %s\n", commands[i].name, commands[i].summary);
    }
    fprintf(stream,
            "\n"
            "Addresses:\n"
            "  pipe:/path      a socket file\n"
            "  pipe:name       a socket file in your private runtime directory\n"
            "  pipe:@name      an abstract name (Linux)\n"
            "  tcp:HOST:PORT   TCP of the loopback; a server takes port 0 for any free one\n"
            "  fifo:IN,OUT     two FIFOs: the one that is read, the one that is written\n"
            "  fd:N            a socket that the command was started with\n\n"
            "Ends with 0 when all went well, 1 when something failed, 2 for wrong usage.\n"
            "ferrule COMMAND --help shows the options of a command.\n");
}

static void print_version(void) {
    printf("ferrule %d.%d.%d\nlibferrule %s\nlibuv %s\n", FER_VERSION_MAJOR, FER_VERSION_MINOR,
           FER_VERSION_PATCH, fer_version_string(), fer_version_uv());
}

/* Help that did not reach its reader is a failure. */
static int finish(int result) {
    if (result == RESULT_INTERRUPTED) {
        /* A shell that runs a script stops it only when a command ends by the signal. The handler is
         * the default one again since the first signal came. */
        raise(runner_signal());
        return RESULT_FAILED;
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        report_errno(errno, "write to standard output");
        return result == RESULT_OK ? RESULT_FAILED : result;
    }
    return result;
}

/* A descriptor of the standard ones that is closed would be given to the next socket, and messages
 * would be written into it. Opened the wrong way round, reading or writing it fails as it should. */
static int guard_standard_descriptors(void) {
    static const int modes[] = {O_WRONLY, O_RDONLY, O_RDONLY};

    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            continue;
        }
        if (errno != EBADF || open("/dev/null", modes[fd]) != fd) {
            return 0;
        }
    }
    return 1;
}

static int run(const struct command *command, int argc, const char **argv) {
    struct options options;
    int result;

    if (!options_parse(&options, command->title, command->help, command->takes, argc, argv,
                       &result)) {
        return result;
    }
    if (fer_version_check(FER_VERSION_HEX) != FER_OK) {
        report("libferrule %s is too old for this command", fer_version_string());
        result = RESULT_FAILED;
    } else {
        result = command->run(&options);
    }
    options_free(&options);
    return result;
}

int main(int argc, char **argv) {
    if (!guard_standard_descriptors()) {
        return RESULT_FAILED;
    }
    /* A reader of standard output that went away shows as an error of write(2), with a message. */
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        report_errno(errno, "signal");
        return RESULT_FAILED;
    }
    if (argc < 2) {
        print_help(stderr);
        return RESULT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return finish(RESULT_OK);
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        print_version();
        return finish(RESULT_OK);
    }
    for (int i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            const char **arguments = (const char **)argv + 1;

            /* popt shows the first argument as the name of the program. */
            arguments[0] = commands[i].title;
            return finish(run(&commands[i], argc - 1, arguments));
        }
    }
    report("there is no command \"%s\"", argv[1]);
    fprintf(stderr, "See ferrule --help\n");
    return RESULT_USAGE;
}
