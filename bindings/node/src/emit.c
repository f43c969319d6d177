#include "emit.h"

#include "check.h"
#include "ferrule/status.h"

/** What a callback threw goes where Node sends what nobody caught. */
static void report_exception(napi_env env) {
    bool pending = false;
    napi_value error = NULL;
    FER_NODE_MUST(napi_is_exception_pending(env, &pending));
    if (!pending) {
        return;
    }
    napi_status status = napi_get_and_clear_last_exception(env, &error);
    if (status == napi_ok) {
        status = napi_fatal_exception(env, error);
    }
    if (status != napi_ok) {
        /* The environment is being terminated: there is nobody left to tell. */
        return;
    }
}

static napi_status call_slot(fer_node_object *object, fer_node_slot slot, fer_node_fill fill,
                             const void *data, bool *called) {
    napi_env env = object->state->env;
    napi_value function = NULL;
    napi_value self = NULL;
    napi_value argv[FER_NODE_ARGUMENTS];
    size_t argc = 0;
    FER_NODE_TRY(napi_get_reference_value(env, object->state->slots[slot], &function));
    FER_NODE_TRY(napi_get_reference_value(env, object->self, &self));
    if (fill != NULL) {
        FER_NODE_TRY(fill(env, data, argv, &argc));
    }
    *called = true;
    return napi_make_callback(env, object->context, self, function, argc, argv, NULL);
}

bool fer_node_emit(fer_node_object *object, fer_node_slot slot, fer_node_fill fill,
                   const void *data) {
    fer_node_env *state = object->state;
    if (state->exiting || state->slots[slot] == NULL) {
        return false;
    }
    napi_env env = state->env;
    napi_handle_scope scope = NULL;
    bool called = false;
    if (napi_open_handle_scope(env, &scope) != napi_ok) {
        return false;
    }
    if (call_slot(object, slot, fill, data, &called) != napi_ok) {
        report_exception(env);
    }
    FER_NODE_MUST(napi_close_handle_scope(env, scope));
    return called;
}

napi_status fer_node_fill_status(napi_env env, const void *status, napi_value *argv, size_t *argc) {
    fer_status value = *(const fer_status *)status;
    FER_NODE_TRY(napi_create_int32(env, (int32_t)value, &argv[0]));
    *argc = 1;
    if (value != FER_OK) {
        FER_NODE_TRY(napi_create_string_utf8(env, fer_status_detail(), NAPI_AUTO_LENGTH, &argv[1]));
        *argc = 2;
    }
    return napi_ok;
}

bool fer_node_emit_status(fer_node_object *object, fer_node_slot slot, fer_status status) {
    return fer_node_emit(object, slot, fer_node_fill_status, &status);
}
