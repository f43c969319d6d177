/* The rendezvous: made of the public functions of servers and blocking channels. */
#include "ferrule/ipc.h"

#include <stdio.h>
#include <string.h>

#include "check.h"
#include "ferrule/info.h"
#include "ferrule/sync.h"
#include "impl/address.h"
#include "impl/mem.h"

enum { ADDRESS_ROOM = 512, ANSWER_MS = 1000 };

struct fer_ipc {
    char *in_path;
    char *out_path;
    char *address;      /**< of the other side, for a client; NULL for who made the channel */
    fer_server *server; /**< NULL for a client, and over TCP once the client is there */
    fer_channel *channel;
    int is_tcp;
    int closed;
};

static char *copy(const char *text, size_t size) {
    char *memory = fer__malloc(size + 1);
    if (memory != NULL) {
        memcpy(memory, text, size);
        memory[size] = '\0';
    }
    return memory;
}

void fer_ipc_free(fer_ipc *ipc) {
    if (ipc == NULL)
        return;
    fer_channel_unref(ipc->channel);
    if (ipc->server != NULL)
        (void)fer_server_close(ipc->server, NULL, NULL);
    fer_server_unref(ipc->server);
    fer__free(ipc->in_path);
    fer__free(ipc->out_path);
    fer__free(ipc->address);
    fer__free(ipc);
}

/* Free what was begun, and keep the words about the error. */
static fer_status give_up(fer_ipc *ipc, fer_status status) {
    fer__detail detail;
    fer__detail_keep(&detail);
    fer_ipc_free(ipc);
    return fer__fail_kept(status, &detail);
}

static fer_channel_options plain(void) {
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    options.wire = FER_WIRE_PLAIN;
    return options;
}

/* The points of a server, from the address that it gives its clients. */
static fer_status set_points(fer_ipc *ipc, const char *address) {
    fer__address parsed;
    char port[8];
    FER__TRY(fer__address_parse(address, &parsed));
    if (parsed.transport == FER__TRANSPORT_FIFO) {
        ipc->in_path = copy(parsed.second.text, parsed.second.size);
        ipc->out_path = copy(parsed.name.text, parsed.name.size);
    } else {
        int size = snprintf(port, sizeof port, "%u", (unsigned)parsed.port);
        ipc->is_tcp = 1;
        ipc->in_path = copy(port, (size_t)size);
        ipc->out_path = copy(port, (size_t)size);
    }
    if (ipc->in_path == NULL || ipc->out_path == NULL)
        return fer__fail_plain(FER_ENOMEM);
    return FER_OK;
}

static fer_status read_points(fer_ipc *ipc) {
    char *address = fer__malloc(ADDRESS_ROOM);
    size_t size = ADDRESS_ROOM;
    fer_status status = address == NULL ? fer__fail_plain(FER_ENOMEM)
                                        : fer_server_address(ipc->server, address, &size);
    if (status == FER_ENOBUFS) {
        fer__free(address);
        address = fer__malloc(size);
        status = address == NULL ? fer__fail_plain(FER_ENOMEM)
                                 : fer_server_address(ipc->server, address, &size);
    }
    if (status == FER_OK)
        status = set_points(ipc, address);
    fer__free(address);
    return status;
}

fer_status fer_ipc_channel_new(int32_t transport, fer_ipc **ipc) {
    const fer_channel_options options = plain();
    fer_ipc *made;
    fer_status status;
    FER__TRY(FER__REQUIRE(ipc != NULL, "ipc"));
    *ipc = NULL;
    FER__TRY(FER__REQUIRE(transport >= FER_IPC_DEFAULT && transport <= FER_IPC_TCP, "transport"));
    made = fer__zalloc(sizeof *made);
    if (made == NULL)
        return fer__fail_plain(FER_ENOMEM);
    status = fer_sync_listen(transport == FER_IPC_TCP ? "tcp:127.0.0.1:0" : "fifo:", &options,
                             &made->server);
    if (status == FER_OK)
        status = read_points(made);
    if (status != FER_OK)
        return give_up(made, status);
    *ipc = made;
    return FER_OK;
}

/* The address that a client's points mean. */
static fer_status make_address(fer_ipc *ipc) {
    size_t room = strlen(ipc->in_path) + strlen(ipc->out_path) + 32;
    const char *form = "tcp:127.0.0.1:%s";
    ipc->is_tcp = ipc->in_path[0] != '/';
    if (ipc->is_tcp && strchr(ipc->in_path, ':') != NULL)
        form = "tcp:%s";
    ipc->address = fer__malloc(room);
    if (ipc->address == NULL)
        return fer__fail_plain(FER_ENOMEM);
    if (ipc->is_tcp)
        /* NOLINTNEXTLINE(clang-diagnostic-format-nonliteral): one of two literals. */
        snprintf(ipc->address, room, form, ipc->in_path);
    else
        snprintf(ipc->address, room, "fifo:%s,%s", ipc->in_path, ipc->out_path);
    return fer_address_check(ipc->address);
}

fer_status fer_ipc_client_new(const char *in_path, const char *out_path, fer_ipc **ipc) {
    fer_ipc *made;
    fer_status status = FER_OK;
    FER__TRY(FER__REQUIRE(ipc != NULL, "ipc"));
    *ipc = NULL;
    FER__TRY(FER__REQUIRE(in_path != NULL, "in_path"));
    FER__TRY(FER__REQUIRE(out_path != NULL, "out_path"));
    made = fer__zalloc(sizeof *made);
    if (made == NULL)
        return fer__fail_plain(FER_ENOMEM);
    made->in_path = copy(in_path, strlen(in_path));
    made->out_path = copy(out_path, strlen(out_path));
    if (made->in_path == NULL || made->out_path == NULL)
        status = fer__fail_plain(FER_ENOMEM);
    if (status == FER_OK)
        status = make_address(made);
    if (status != FER_OK)
        return give_up(made, status);
    *ipc = made;
    return FER_OK;
}

const char *fer_ipc_in_path(const fer_ipc *ipc) {
    return ipc == NULL ? NULL : ipc->in_path;
}

const char *fer_ipc_out_path(const fer_ipc *ipc) {
    return ipc == NULL ? NULL : ipc->out_path;
}

fer_channel *fer_ipc_channel(const fer_ipc *ipc) {
    return ipc == NULL ? NULL : ipc->channel;
}

static fer_status connect_client(fer_ipc *ipc, int64_t timeout_ms) {
    fer_channel_options options = plain();
    fer_status status;
    /* 0 would be the default there. */
    options.connect_timeout_ms = timeout_ms == 0 ? 1 : timeout_ms;
    status = fer_sync_connect(ipc->address, &options, -1, &ipc->channel);
    if (status == FER_ECONNREFUSED || status == FER_ENOENT)
        return fer__fail(FER_ETIMEDOUT, "the other side was not there in time");
    return status;
}

fer_status fer_ipc_connect(fer_ipc *ipc, int64_t timeout_ms) {
    fer_status status;
    FER__TRY(FER__REQUIRE(ipc != NULL, "ipc"));
    if (ipc->closed)
        return fer__fail_plain(FER_ECLOSED);
    if (ipc->channel != NULL)
        return fer__fail_plain(FER_EISCONN);
    if (ipc->address != NULL)
        return connect_client(ipc, timeout_ms);
    status = fer_sync_accept(ipc->server, timeout_ms, &ipc->channel);
    /* Whoever else finds the port is refused; the FIFOs stay until the peer has opened both. */
    if (status == FER_OK && ipc->is_tcp) {
        (void)fer_server_close(ipc->server, NULL, NULL);
        fer_server_unref(ipc->server);
        ipc->server = NULL;
    }
    return status;
}

static fer_status check_connected(const fer_ipc *ipc) {
    FER__TRY(FER__REQUIRE(ipc != NULL, "ipc"));
    if (ipc->channel == NULL)
        return fer__fail_plain(FER_ENOTCONN);
    return FER_OK;
}

fer_status fer_ipc_write(fer_ipc *ipc, const void *data, size_t size, int64_t timeout_ms) {
    const fer_bytes whole = {data, size};
    FER__TRY(check_connected(ipc));
    return fer_sync_send(ipc->channel, &whole, 1, timeout_ms);
}

fer_status fer_ipc_read(fer_ipc *ipc, int64_t timeout_ms, fer_message *message) {
    FER__TRY(check_connected(ipc));
    return fer_sync_receive(ipc->channel, timeout_ms, message);
}

static fer_status close_channel(fer_ipc *ipc) {
    uint64_t unsent = 0;
    fer_status status = fer_sync_close(ipc->channel, ANSWER_MS);
    if (status == FER_EINTR)
        return status;
    if (status == FER_ETIMEDOUT && fer_channel_unsent(ipc->channel, &unsent) == FER_OK &&
        unsent == 0)
        status = FER_OK;
    fer_channel_unref(ipc->channel);
    ipc->channel = NULL;
    return status;
}

fer_status fer_ipc_close(fer_ipc *ipc) {
    fer_status status = FER_OK;
    FER__TRY(FER__REQUIRE(ipc != NULL, "ipc"));
    if (ipc->channel != NULL)
        status = close_channel(ipc);
    if (status == FER_EINTR)
        return status;
    ipc->closed = 1;
    if (ipc->server != NULL) {
        (void)fer_server_close(ipc->server, NULL, NULL);
        fer_server_unref(ipc->server);
        ipc->server = NULL;
    }
    return status;
}
