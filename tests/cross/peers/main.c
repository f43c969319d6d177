/* The peer program in C. ../README.md describes its arguments and its output. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

static int usage(void) {
    fprintf(stderr, "usage: ferrule_peer echo|collect|ping|send ADDRESS [SIZES] [--wire WIRE] "
                    "[--max-message BYTES] [--hold] [--stay]\n");
    return 2;
}

static int parse(struct arguments *arguments, int argc, char **argv) {
    int i = 3;

    if (argc < 3) {
        return 0;
    }
    arguments->role = argv[1];
    arguments->address = argv[2];
    if (strcmp(arguments->role, "ping") == 0 || strcmp(arguments->role, "send") == 0) {
        if (argc < 4 || !runs_parse(&arguments->sizes, argv[3])) {
            return 0;
        }
        i = 4;
    }
    for (; i < argc; i++) {
        if (strcmp(argv[i], "--hold") == 0) {
            arguments->hold = 1;
        } else if (strcmp(argv[i], "--stay") == 0) {
            arguments->stay = 1;
        } else if (i + 1 < argc && strcmp(argv[i], "--wire") == 0) {
            arguments->channel.wire =
                strcmp(argv[++i], "plain") == 0 ? FER_WIRE_PLAIN : FER_WIRE_NATIVE;
        } else if (i + 1 < argc && strcmp(argv[i], "--max-message") == 0) {
            arguments->channel.max_message = strtoull(argv[++i], NULL, 10);
        } else {
            return 0;
        }
    }
    return 1;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(const struct arguments *arguments);
    } roles[] = {
        {"echo", run_echo}, {"collect", run_collect}, {"ping", run_ping}, {"send", run_send}};
    static const fer_channel_options defaults = FER_CHANNEL_OPTIONS_INIT;
    struct arguments arguments;

    memset(&arguments, 0, sizeof arguments);
    arguments.channel = defaults;
    if (!parse(&arguments, argc, argv)) {
        return usage();
    }
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (strcmp(arguments.role, roles[i].name) == 0) {
            roles[i].run(&arguments);
            free(arguments.sizes.items);
            return 0;
        }
    }
    return usage();
}
