#include "check.h"

void fer_node_throw_last(napi_env env, napi_status status) {
    const napi_extended_error_info *info = NULL;
    const char *message = "out of memory";
    /* First: the next Node-API call overwrites it. */
    if (napi_get_last_error_info(env, &info) == napi_ok && info->error_code == status &&
        info->error_message != NULL) {
        message = info->error_message;
    }
    bool pending = false;
    if (napi_is_exception_pending(env, &pending) != napi_ok || pending) {
        return;
    }
    if (napi_throw_error(env, "ERR_FERRULE_NAPI", message) != napi_ok) {
        /* The environment is being terminated; JavaScript sees that anyway. */
        return;
    }
}

void fer_node_throw_type(napi_env env, const char *code, const char *message) {
    if (napi_throw_type_error(env, code, message) != napi_ok) {
        /* An exception is pending already, or the environment is being terminated. */
        return;
    }
}
