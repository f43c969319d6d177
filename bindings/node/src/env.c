#include "env.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "ferrule/loop.h"
#include "ferrule/uv.h"

fer_node_env *fer_node_env_ref(fer_node_env *state) {
    state->owners += 1;
    return state;
}

void fer_node_env_unref(fer_node_env *state) {
    state->owners -= 1;
    if (state->owners == 0) {
        free(state);
    }
}

/** The environment is being deleted. What it does not free by itself goes here. */
static void on_instance_data_gone(napi_env env, void *data, void *hint) {
    (void)hint;
    fer_node_env *state = data;
    state->exiting = true;
    for (size_t slot = 0; slot < FER_NODE_SLOT_COUNT; slot++) {
        if (state->slots[slot] != NULL) {
            FER_NODE_MUST(napi_delete_reference(env, state->slots[slot]));
            state->slots[slot] = NULL;
        }
    }
    if (state->sizes.array != NULL) {
        FER_NODE_MUST(napi_delete_reference(env, state->sizes.array));
        state->sizes.array = NULL;
    }
    fer_node_env_unref(state);
}

napi_status fer_node_env_open(napi_env env) {
    fer_node_env *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return napi_generic_failure;
    }
    state->env = env;
    state->owners = 1;
    napi_status status = napi_set_instance_data(env, state, on_instance_data_gone, NULL);
    if (status != napi_ok) {
        free(state);
    }
    return status;
}

fer_node_env *fer_node_env_get(napi_env env) {
    void *data = NULL;
    FER_NODE_CALL(env, napi_get_instance_data(env, &data), NULL);
    return data;
}

/** Nothing of the library is left on Node's loop: the environment may go. */
static void on_detached(fer_loop *loop, void *user) {
    fer_node_env *state = user;
    fer_loop_unref(loop);
    FER_NODE_MUST(napi_remove_async_cleanup_hook(state->hook));
    fer_node_env_unref(state);
}

/** The environment ends. It waits until the hook is removed, running its loop. */
static void on_env_ends(napi_async_cleanup_hook_handle hook, void *data) {
    (void)hook;
    fer_node_env *state = data;
    state->exiting = true;
    fer_loop *loop = state->loop;
    state->loop = NULL;
    if (fer_loop_detach(loop, on_detached, state) != FER_OK) {
        on_detached(loop, state);
    }
}

fer_status fer_node_env_loop(fer_node_env *state, fer_loop **loop) {
    if (state->exiting) {
        return FER_ECLOSED;
    }
    if (state->loop == NULL) {
        struct uv_loop_s *uv = NULL;
        napi_status found = napi_get_uv_event_loop(state->env, &uv);
        if (found != napi_ok) {
            return FER_ENOTSUP;
        }
        fer_status status = fer_loop_attach(uv, &state->loop);
        if (status != FER_OK) {
            return status;
        }
        napi_status added =
            napi_add_async_cleanup_hook(state->env, on_env_ends, state, &state->hook);
        if (added != napi_ok) {
            /* The loop cannot be left open: nobody would detach it. */
            fer_loop *attached = state->loop;
            state->loop = NULL;
            status = fer_loop_detach(attached, NULL, NULL);
            fer_loop_unref(attached);
            return status == FER_OK ? FER_ENOMEM : status;
        }
        fer_node_env_ref(state);
    }
    *loop = state->loop;
    return FER_OK;
}

napi_value fer_node_env_register(napi_env env, napi_callback_info info) {
    static const char *const names[] = {
#define FER_NODE_SLOT_ENTRY(slot, name) name,
        FER_NODE_SLOT_MAP(FER_NODE_SLOT_ENTRY)
#undef FER_NODE_SLOT_ENTRY
    };
    fer_node_env *state = fer_node_env_get(env);
    if (state == NULL) {
        return NULL;
    }
    size_t argc = 2;
    napi_value argv[2];
    FER_NODE_CALL(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL), NULL);
    napi_valuetype type = napi_undefined;
    FER_NODE_CALL(env, napi_typeof(env, argv[1], &type), NULL);
    char name[32] = "";
    napi_status status = napi_get_value_string_utf8(env, argv[0], name, sizeof name, NULL);
    if (status != napi_ok || type != napi_function) {
        fer_node_throw_type(env, "ERR_INVALID_ARG_TYPE", "register(name: string, function)");
        return NULL;
    }
    for (size_t slot = 0; slot < FER_NODE_SLOT_COUNT; slot++) {
        if (strcmp(names[slot], name) != 0) {
            continue;
        }
        napi_ref function = NULL;
        FER_NODE_CALL(env, napi_create_reference(env, argv[1], 1, &function), NULL);
        if (state->slots[slot] != NULL) {
            FER_NODE_MUST(napi_delete_reference(env, state->slots[slot]));
        }
        state->slots[slot] = function;
        return NULL;
    }
    fer_node_throw_type(env, "ERR_INVALID_ARG_VALUE", "register(): no callback has this name");
    return NULL;
}
