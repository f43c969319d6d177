/**
 * The addon: what lib/native.js loads.
 */
#include <node_api.h>
#include <stdlib.h>

#include "access.h"
#include "body.h"
#include "channel.h"
#include "check.h"
#include "class.h"
#include "env.h"
#include "ferrule/channel.h"
#include "ferrule/status.h"
#include "ferrule/version.h"
#include "inet.h"
#include "pipe.h"
#include "received.h"
#include "server.h"
#include "value.h"

static napi_status text_property(napi_env env, napi_value object, const char *name,
                                 const char *text) {
    napi_value value = NULL;
    FER_NODE_TRY(napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value));
    return napi_set_named_property(env, object, name, value);
}

/** { FER_EINVAL: { status, text }, ... }: every status of the library. */
static napi_status make_statuses(napi_env env, napi_value exports) {
    static const fer_status statuses[] = {
#define FER_NODE_STATUS_ENTRY(name, value, text) name,
        FER_STATUS_MAP(FER_NODE_STATUS_ENTRY)
#undef FER_NODE_STATUS_ENTRY
    };
    napi_value table = NULL;
    FER_NODE_TRY(napi_create_object(env, &table));
    for (size_t i = 0; i < FER_NODE_COUNT(statuses); i++) {
        napi_value entry = NULL;
        napi_value number = NULL;
        FER_NODE_TRY(napi_create_object(env, &entry));
        FER_NODE_TRY(napi_create_int32(env, (int32_t)statuses[i], &number));
        FER_NODE_TRY(napi_set_named_property(env, entry, "status", number));
        FER_NODE_TRY(text_property(env, entry, "text", fer_status_text(statuses[i])));
        FER_NODE_TRY(napi_set_named_property(env, table, fer_status_name(statuses[i]), entry));
    }
    return napi_set_named_property(env, exports, "statuses", table);
}

/** detail(): what was wrong with the call before; valid until the next one. */
static napi_value get_detail(napi_env env, napi_callback_info info) {
    (void)info;
    napi_value detail = NULL;
    FER_NODE_CALL(env, napi_create_string_utf8(env, fer_status_detail(), NAPI_AUTO_LENGTH, &detail),
                  NULL);
    return detail;
}

/** checkAddress(text): 0, or a status. */
static napi_value check_address(napi_env env, napi_callback_info info) {
    size_t argc = 1;
    napi_value argv[1];
    FER_NODE_CALL(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL), NULL);
    char *address = fer_node_get_text(env, argv[0]);
    if (address == NULL) {
        return NULL;
    }
    fer_status status = fer_address_check(address);
    free(address);
    return fer_node_status(env, status);
}

static napi_status fill_exports(napi_env env, napi_value exports) {
    static const napi_property_descriptor functions[] = {
        FER_NODE_METHOD("register", fer_node_env_register),
        FER_NODE_METHOD("detail", get_detail),
        FER_NODE_METHOD("checkAddress", check_address),
        FER_NODE_METHOD("activationAddress", fer_node_activation_address),
        FER_NODE_METHOD("external", fer_node_body_external),
    };
    FER_NODE_TRY(fer_node_env_open(env));
    FER_NODE_TRY(napi_define_properties(env, exports, FER_NODE_COUNT(functions), functions));
    FER_NODE_TRY(text_property(env, exports, "version", fer_version_string()));
    FER_NODE_TRY(text_property(env, exports, "uvVersion", fer_version_uv()));
    FER_NODE_TRY(make_statuses(env, exports));
    FER_NODE_TRY(fer_node_pipe_init(env, exports));
    FER_NODE_TRY(fer_node_tcp_init(env, exports));
    FER_NODE_TRY(fer_node_udp_init(env, exports));
    FER_NODE_TRY(fer_node_channel_init(env, exports));
    FER_NODE_TRY(fer_node_received_init(env, exports));
    return fer_node_server_init(env, exports);
}

NAPI_MODULE_INIT() {
    FER_NODE_CALL(env, fill_exports(env, exports), NULL);
    return exports;
}
