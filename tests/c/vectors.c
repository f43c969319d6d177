/* The file of wire vectors. */
#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

struct vector_file {
    json_t *root;
    json_t *list;
};

struct vector_events {
    json_t *seen;
};

vector_file *vectors_open(void) {
    json_error_t error;
    vector_file *file = malloc(sizeof *file);
    assert_non_null(file);
    file->root = json_load_file(FER_TEST_VECTORS "/frames.json", JSON_REJECT_DUPLICATES, &error);
    if (file->root == NULL)
        fail_msg("%s:%d: %s", error.source, error.line, error.text);
    file->list = json_object_get(file->root, "vectors");
    assert_true(json_is_array(file->list));
    return file;
}

size_t vectors_count(const vector_file *file) {
    return json_array_size(file->list);
}

void vectors_close(vector_file *file) {
    json_decref(file->root);
    free(file);
}

static void get_rides(wire_vector *vector, json_t *rides) {
    vector->ride_count = json_array_size(rides);
    vector->rides = calloc(vector->ride_count + 1, sizeof *vector->rides);
    assert_non_null(vector->rides);
    for (size_t i = 0; i < vector->ride_count; i++) {
        json_error_t error;
        json_int_t at;
        json_int_t count;
        if (json_unpack_ex(json_array_get(rides, i), &error, JSON_STRICT, "{s:I, s:I}", "at", &at,
                           "count", &count) != 0)
            fail_msg("%s: %s", vector->name, error.text);
        assert_in_range(at, i == 0 ? 0 : vector->rides[i - 1].at + 1, vector->size - 1);
        assert_in_range(count, 1, VECTOR_RIDERS);
        vector->rides[i].at = (size_t)at;
        vector->rides[i].count = (size_t)count;
    }
}

void vectors_get(const vector_file *file, size_t index, wire_vector *vector) {
    json_error_t error;
    const char *wire;
    const char *digits;
    const char *description;
    json_int_t max_message;
    json_int_t max_handles;
    json_t *needs = NULL;
    json_t *rides = NULL;
    json_t *events;
    memset(vector, 0, sizeof *vector);
    /* Strict: a field that the schema does not have is a mistake. */
    if (json_unpack_ex(json_array_get(file->list, index), &error, JSON_STRICT,
                       "{s:s, s:s, s:s, s:{s:I, s:I}, s?:o, s:s, s?:o, s:o}", "name", &vector->name,
                       "description", &description, "wire", &wire, "limits", "max_message",
                       &max_message, "max_handles", &max_handles, "needs", &needs, "hex", &digits,
                       "rides", &rides, "events", &events) != 0)
        fail_msg("vector %lu: %s", (unsigned long)index, error.text);
    assert_true(strcmp(wire, "native") == 0 || strcmp(wire, "plain") == 0);
    vector->wire = strcmp(wire, "plain") == 0 ? FER_WIRE_PLAIN : FER_WIRE_NATIVE;
    vector->limits.max_message = (uint64_t)max_message;
    vector->limits.max_handles = (uint32_t)max_handles;
    vector->needs_handles = needs != NULL;
    vector->bytes = harness_bytes(digits, &vector->size);
    get_rides(vector, rides);
    vector->events = events;
}

void vector_free(wire_vector *vector) {
    free(vector->bytes);
    vector->bytes = NULL;
    free(vector->rides);
    vector->rides = NULL;
}

size_t vector_piece(const wire_vector *vector, size_t at, size_t to, size_t *descriptors) {
    *descriptors = 0;
    for (size_t i = 0; i < vector->ride_count; i++) {
        const vector_ride *ride = &vector->rides[i];
        if (ride->at == at)
            *descriptors = ride->count;
        else if (ride->at > at && ride->at < to)
            to = ride->at;
    }
    return to - at;
}

static uint8_t *exactly(const char *digits, size_t wanted) {
    size_t size = 0;
    uint8_t *bytes = harness_bytes(digits, &size);
    assert_int_equal(size, wanted);
    return bytes;
}

int vectors_secret(size_t index, secret_vector *vector) {
    json_error_t error;
    const char *digits[7];
    json_t *root = json_load_file(FER_TEST_VECTORS "/secrets.json", JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        fail_msg("%s:%d: %s", error.source, error.line, error.text);
    json_t *one = json_array_get(json_object_get(root, "secrets"), index);
    if (one != NULL) {
        if (json_unpack_ex(one, &error, JSON_STRICT, "{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "name",
                           &digits[0], "description", &digits[1], "secret", &digits[2],
                           "client_hello", &digits[3], "server_hello", &digits[4], "client_proof",
                           &digits[5], "server_proof", &digits[6]) != 0)
            fail_msg("secret %lu: %s", (unsigned long)index, error.text);
        vector->secret = harness_bytes(digits[2], &vector->secret_size);
        for (int i = 0; i < 2; i++) {
            vector->hello[i] = exactly(digits[3 + i], 60);
            vector->proof[i] = exactly(digits[5 + i], 32);
        }
    }
    json_decref(root);
    return one != NULL;
}

void secret_vector_free(secret_vector *vector) {
    free(vector->secret);
    for (int i = 0; i < 2; i++) {
        free(vector->hello[i]);
        free(vector->proof[i]);
    }
}

vector_events *vector_events_new(void) {
    vector_events *events = malloc(sizeof *events);
    assert_non_null(events);
    events->seen = json_array();
    assert_non_null(events->seen);
    return events;
}

static void add(vector_events *events, json_t *event) {
    assert_non_null(event);
    assert_int_equal(json_array_append_new(events->seen, event), 0);
}

void vector_saw_hello(vector_events *events, uint32_t version, uint64_t max_message,
                      uint32_t max_handles) {
    add(events,
        json_pack("{s:s, s:I, s:I, s:I}", "type", "hello", "version", (json_int_t)version,
                  "max_message", (json_int_t)max_message, "max_handles", (json_int_t)max_handles));
}

void vector_saw_message(vector_events *events, const void *data, size_t size, size_t handles) {
    const uint8_t *bytes = data;
    char *digits = malloc(2 * size + 1);
    assert_non_null(digits);
    digits[0] = '\0';
    for (size_t i = 0; i < size; i++)
        snprintf(digits + 2 * i, 3, "%02x", bytes[i]);
    add(events, json_pack("{s:s, s:s, s:I}", "type", "message", "hex", digits, "handles",
                          (json_int_t)handles));
    free(digits);
}

void vector_saw_end(vector_events *events, fer_status status) {
    if (status == FER_EOF)
        add(events, json_pack("{s:s}", "type", "end"));
    else
        add(events, json_pack("{s:s, s:s}", "type", "error", "status", fer_status_name(status)));
}

/* What a receiver cannot tell apart is the same. */
static json_t *expected_events(const wire_vector *vector) {
    json_t *expected = json_deep_copy(vector->events);
    json_t *last = json_array_get(expected, json_array_size(expected) - 1);
    const char *type = json_string_value(json_object_get(last, "type"));
    assert_non_null(type);
    if (strcmp(type, "goodbye") == 0)
        assert_int_equal(json_object_set_new(last, "type", json_string("end")), 0);
    return expected;
}

void vector_events_compare(vector_events *events, const wire_vector *vector) {
    json_t *expected = expected_events(vector);
    if (!json_equal(expected, events->seen)) {
        char *want = json_dumps(expected, JSON_COMPACT);
        char *have = json_dumps(events->seen, JSON_COMPACT);
        print_error("%s: expected %s\n%s: got      %s\n", vector->name, want, vector->name, have);
        free(want);
        free(have);
        fail_msg("the events of the vector %s were not seen", vector->name);
    }
    json_decref(expected);
    json_decref(events->seen);
    free(events);
}
