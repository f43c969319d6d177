/**
 * The blocking face: a small loop of its own, around poll(2), on the descriptors of one channel or server.
 */
#ifndef FER_IMPL_SYNC_H
#define FER_IMPL_SYNC_H

#include "channel.h"
#include "server.h"

fer_status fer__sync_connect(const char *address, const fer_channel_options *options,
                             int64_t timeout_ms, fer_channel **out);
fer_status fer__sync_send(fer_channel *channel, const fer_bytes *parts, size_t count,
                          const fer__fd *fds, size_t fd_count, int64_t timeout_ms);
fer_status fer__sync_send_many(fer_channel *channel, const fer_bytes *messages, size_t count,
                               int64_t timeout_ms, size_t *accepted);
fer_status fer__sync_flush(fer_channel *channel, int64_t timeout_ms);
fer_status fer__sync_receive(fer_channel *channel, int64_t timeout_ms, fer_message *message);
fer_status fer__sync_close(fer_channel *channel, int64_t timeout_ms);
void fer__sync_abort(fer_channel *channel);
fer_status fer__sync_listen(const char *address, const fer_channel_options *options,
                            fer_server **out);
fer_status fer__sync_accept(fer_server *server, int64_t timeout_ms, fer_channel **out);
fer_status fer__sync_server_fileno(fer_server *server, fer__fd *fd);

/**
 * One turn of the loop of a blocking channel or server. `limit` is when to give up, as fer__deadline_after() says
 * it: FER_ETIMEDOUT when that is over, whatever else there is to do.
 */
fer_status fer__sync_turn(fer_loop *loop, int64_t limit);

/** End a blocking channel or server at once: run what that leaves. */
void fer__sync_settle(fer_loop *loop);

#endif
