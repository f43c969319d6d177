/* What idle channels cost in memory: ferrule_idle serve|drive PATH COUNT.
 *
 * `serve` accepts FIRST + COUNT channels, `drive` connects them, one after the other. On each a message
 * goes there and back, so that whatever is made on first use is there. Then both print what the last
 * COUNT channels added to the process: {"count": …, "allocator": …, "malloc": …, "resident": …}, in bytes. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common.h"
#include "ferrule.h"

/* Channels before the measurement starts: what is made once is not counted. */
enum { FIRST = 24 };

struct usage {
    size_t
        allocator;   /* what the library took from the allocator given to it, as malloc rounds it */
    size_t malloc;   /* what the process has from malloc(3), libuv's and libc's own included */
    size_t resident; /* pages in memory */
};

static size_t allocated;
static fer_loop *loop;
static fer_channel **channels;
static size_t wanted;
static size_t opened;
static struct usage before;
static char address[4096];
static int serves;

static void check(fer_status status, const char *what) {
    if (status != FER_OK) {
        fprintf(stderr, "bench: %s\n", fer_status_detail());
        die(what, fer_status_text(status));
    }
}

static void *count_malloc(size_t size, void *user) {
    void *memory = malloc(size);

    (void)user;
    allocated += malloc_usable_size(memory);
    return memory;
}

static void *count_realloc(void *memory, size_t size, void *user) {
    size_t old = malloc_usable_size(memory);
    void *grown = realloc(memory, size);

    (void)user;
    if (grown != NULL) {
        allocated += malloc_usable_size(grown) - old;
    }
    return grown;
}

static void count_free(void *memory, void *user) {
    (void)user;
    allocated -= malloc_usable_size(memory);
    free(memory);
}

static struct usage measure(void) {
    struct mallinfo2 info = mallinfo2();
    struct usage usage;
    unsigned long resident;
    char line[128];
    char *end;
    FILE *file = fopen("/proc/self/statm", "r");

    if (file == NULL || fgets(line, sizeof line, file) == NULL) {
        die_errno("/proc/self/statm");
    }
    /* The second number is what is resident, in pages. */
    strtoul(line, &end, 10);
    resident = strtoul(end, NULL, 10);
    fclose(file);
    usage.allocator = allocated;
    usage.malloc = info.uordblks + info.hblkhd;
    usage.resident = resident * (size_t)sysconf(_SC_PAGESIZE);
    return usage;
}

static void connect_next(void);

/* All are open and have been used: print what they cost, then let go of them. */
static void finish(void) {
    struct usage after = measure();

    printf("{\"count\": %zu, \"allocator\": %zu, \"malloc\": %zu, \"resident\": %zu}\n",
           wanted - FIRST, after.allocator - before.allocator, after.malloc - before.malloc,
           after.resident - before.resident);
    fflush(stdout);
    /* The other side has not measured yet. Its end of input tells when both may end. */
    while (getchar() != EOF) {
    }
    check(fer_loop_close_objects(loop), "close");
}

static void used_one(void) {
    if (opened == FIRST) {
        before = measure();
    }
    if (opened == wanted) {
        finish();
    } else if (!serves) {
        connect_next();
    }
}

static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    (void)user;
    for (size_t i = 0; i < count; i++) {
        if (serves) {
            fer_bytes part;

            part.data = messages[i].data;
            part.size = messages[i].size;
            check(fer_channel_send(channel, &part, 1, NULL, 0, NULL, NULL), "send");
        }
        used_one();
    }
    /* At the end either side may see the other's go first. */
    (void)status;
}

static void on_client(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    (void)server;
    (void)user;
    check(status, "client");
    channels[opened++] = channel;
    check(fer_channel_receive(channel, on_messages, NULL, NULL), "receive");
}

static void on_connected(fer_channel *channel, fer_status status, void *user) {
    fer_bytes part = {"hello", 5};

    (void)user;
    check(status, "connect");
    opened++;
    check(fer_channel_receive(channel, on_messages, NULL, NULL), "receive");
    check(fer_channel_send(channel, &part, 1, NULL, 0, NULL, NULL), "send");
}

static void connect_next(void) {
    check(fer_channel_connect(loop, address, NULL, on_connected, NULL, &channels[opened]),
          "connect");
}

static void allow_descriptors(void) {
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        die_errno("getrlimit");
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        die_errno("setrlimit");
    }
}

int main(int argc, char **argv) {
    fer_allocator allocator = FER_ALLOCATOR_INIT;
    fer_server *server = NULL;

    if (argc != 4) {
        die("usage", "ferrule_idle serve|drive PATH COUNT");
    }
    serves = strcmp(argv[1], "serve") == 0;
    snprintf(address, sizeof address, "pipe:%s", argv[2]);
    wanted = FIRST + (size_t)strtoull(argv[3], NULL, 10);
    channels = take_memory(wanted * sizeof(fer_channel *));
    allow_descriptors();

    allocator.malloc = count_malloc;
    allocator.realloc = count_realloc;
    allocator.free = count_free;
    check(fer_set_allocator(&allocator), "allocator");
    check(fer_loop_new(&loop), "loop");
    if (serves) {
        check(fer_server_listen(loop, address, NULL, on_client, NULL, NULL, &server), "listen");
        print_ready();
    } else {
        connect_next();
    }
    check(fer_loop_run(loop), "run");
    for (size_t i = 0; i < wanted; i++) {
        fer_channel_unref(channels[i]);
    }
    fer_server_unref(server);
    check(fer_loop_close(loop), "loop");
    fer_loop_unref(loop);
    if (allocated != 0) {
        die("leak", "the library did not give back all of its memory");
    }
    free(channels);
    return 0;
}
