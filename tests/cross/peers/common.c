#include "common.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PRIME = 251, STEP = 31 };

void give_up(fer_status status, const char *what) {
    fprintf(stderr, "peer: %s: %s: %s (%s)\n", what, fer_status_text(status), fer_status_detail(),
            fer_status_name(status));
    exit(1);
}

void *take_memory(size_t size) {
    void *memory = malloc(size > 0 ? size : 1);

    if (memory == NULL) {
        give_up(FER_ENOMEM, "malloc");
    }
    return memory;
}

void runs_add(struct runs *runs, size_t size, size_t handles, size_t count) {
    if (runs->count > 0 && runs->items[runs->count - 1].size == size &&
        runs->items[runs->count - 1].handles == handles) {
        runs->items[runs->count - 1].count += count;
        return;
    }
    if (runs->count == runs->room) {
        runs->room = runs->room > 0 ? runs->room * 2 : 16;
        runs->items = realloc(runs->items, runs->room * sizeof *runs->items);
        if (runs->items == NULL) {
            give_up(FER_ENOMEM, "realloc");
        }
    }
    runs->items[runs->count].size = size;
    runs->items[runs->count].handles = handles;
    runs->items[runs->count].count = count;
    runs->count++;
}

int runs_parse(struct runs *runs, const char *text) {
    for (;;) {
        char *end = NULL;
        unsigned long long first = strtoull(text, &end, 10);
        unsigned long long second;
        unsigned long long handles = 0;

        if (end == text) {
            return 0;
        }
        text = end;
        if (*text == '+') {
            handles = strtoull(++text, &end, 10);
            if (end == text || handles > FER_MESSAGE_HANDLES_MAX) {
                return 0;
            }
            text = end;
        }
        if (*text == 'x' || *text == '-') {
            char kind = *text++;

            second = strtoull(text, &end, 10);
            if (end == text || (kind == 'x' && second == 0)) {
                return 0;
            }
            text = end;
            if (kind == 'x') {
                runs_add(runs, (size_t)first, (size_t)handles, (size_t)second);
            }
            for (unsigned long long size = first; kind == '-' && size <= second; size++) {
                runs_add(runs, (size_t)size, (size_t)handles, 1);
            }
        } else {
            runs_add(runs, (size_t)first, (size_t)handles, 1);
        }
        if (*text == '\0') {
            return 1;
        }
        if (*text++ != ',') {
            return 0;
        }
    }
}

void fill(unsigned char *bytes, size_t number, size_t size) {
    unsigned value = (unsigned)(STEP * number % PRIME);

    for (size_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)value;
        value = value + 1 < PRIME ? value + 1 : 0;
    }
}

void result_add(struct result *result, const fer_message *message) {
    const unsigned char *bytes = message->data;
    unsigned value = (unsigned)(STEP * result->messages % PRIME);

    for (size_t i = 0; i < message->size; i++) {
        if (bytes[i] != value && result->bad < 0) {
            result->bad = (long)result->messages;
        }
        value = value + 1 < PRIME ? value + 1 : 0;
    }
    runs_add(&result->runs, message->size, message->handle_count, 1);
    result->messages++;
}

void say(const char *line) {
    printf("%s\n", line);
    fflush(stdout);
}

void say_result(const struct result *result) {
    printf("result {\"messages\": %zu, \"bad\": %ld, \"end\": \"%s\", \"refused\": %zu, ",
           result->messages, result->bad, fer_status_name(result->end), result->refused);
    printf("\"unsent\": %llu, \"runs\": [", (unsigned long long)result->unsent);
    for (size_t i = 0; i < result->runs.count; i++) {
        const struct run *run = &result->runs.items[i];

        printf("%s[%zu, %zu", i > 0 ? ", " : "", run->size, run->count);
        if (run->handles > 0) {
            printf(", %zu", run->handles);
        }
        printf("]");
    }
    printf("]");
    if (result->error != FER_OK) {
        printf(", \"error\": \"%s\"", fer_status_name(result->error));
    }
    printf("}\n");
    fflush(stdout);
}

struct watch {
    fer_loop *loop;
    fer_posted_cb on_line;
    fer_posted_cb on_end;
    void *user;
};

static void *watch_thread(void *user) {
    struct watch *watch = user;
    char byte;

    /* A closed loop refuses the post: the process is ending then. */
    while (read(STDIN_FILENO, &byte, 1) == 1) {
        if (byte == '\n' && watch->on_line != NULL) {
            fer_loop_post(watch->loop, watch->on_line, watch->user);
        }
    }
    fer_loop_post(watch->loop, watch->on_end, watch->user);
    fer_loop_unref(watch->loop);
    free(watch);
    return NULL;
}

void watch_input(fer_loop *loop, fer_posted_cb on_line, fer_posted_cb on_end, void *user) {
    struct watch *watch = take_memory(sizeof *watch);
    pthread_t thread;

    watch->loop = fer_loop_ref(loop);
    watch->on_line = on_line;
    watch->on_end = on_end;
    watch->user = user;
    if (pthread_create(&thread, NULL, watch_thread, watch) != 0) {
        give_up(FER_EUNKNOWN, "thread");
    }
    pthread_detach(thread);
}
