#include "ferrule/stream.h"

#include "check.h"

fer_status fer_stream_listen(fer_handle *stream, int32_t backlog, fer_connection_cb cb, void *user,
                             fer_finalizer finalizer) {
    FER__TRY_REGISTER(fer__check_stream(stream), user, finalizer);
    FER__TRY_REGISTER(FER__REQUIRE(cb != NULL, "cb"), user, finalizer);
    FER__TRY_REGISTER(FER__REQUIRE(backlog >= 0, "backlog"), user, finalizer);
    return fer__stream_listen(stream, backlog, cb, user, finalizer);
}

fer_status fer_stream_accept(fer_handle *listener, fer_handle *client) {
    FER__TRY(fer__check_stream(listener));
    FER__TRY(fer__check_handle(client));
    return fer__stream_accept(listener, client);
}

fer_status fer_stream_read_start(fer_handle *stream, fer_read_cb cb, void *user,
                                 fer_finalizer finalizer) {
    FER__TRY_REGISTER(fer__check_stream(stream), user, finalizer);
    FER__TRY_REGISTER(FER__REQUIRE(cb != NULL, "cb"), user, finalizer);
    return fer__stream_read_start(stream, cb, user, finalizer);
}

fer_status fer_stream_read_stop(fer_handle *stream) {
    FER__TRY(fer__check_stream(stream));
    return fer__stream_read_stop(stream);
}

fer_status fer_stream_write(fer_handle *stream, const fer_bytes *parts, size_t count,
                            fer_stream_cb cb, void *user) {
    FER__TRY(fer__check_stream(stream));
    FER__TRY(fer__check_parts(parts, count));
    return fer__stream_write(stream, parts, count, cb, user);
}

fer_status fer_stream_try_write(fer_handle *stream, const fer_bytes *parts, size_t count,
                                size_t *written) {
    FER__TRY(FER__REQUIRE(written != NULL, "written"));
    *written = 0;
    FER__TRY(fer__check_stream(stream));
    FER__TRY(fer__check_parts(parts, count));
    return fer__stream_try_write(stream, parts, count, written);
}

fer_status fer_stream_shutdown(fer_handle *stream, fer_stream_cb cb, void *user) {
    FER__TRY(fer__check_stream(stream));
    return fer__stream_shutdown(stream, cb, user);
}

size_t fer_stream_write_queue_size(const fer_handle *stream) {
    return stream == NULL ? 0 : stream->out.queued;
}

int fer_stream_is_readable(const fer_handle *stream) {
    return stream != NULL && fer__stream_is_readable(stream);
}

int fer_stream_is_writable(const fer_handle *stream) {
    return stream != NULL && fer__stream_is_writable(stream);
}

fer_status fer_stream_set_blocking(fer_handle *stream, int blocking) {
    FER__TRY(fer__check_stream(stream));
    FER__TRY(fer__check_fd(stream));
    /* From here on the mode is the user's. */
    stream->io.keep_mode = 1;
    return fer__os_set_nonblocking(stream->io.fd, !blocking);
}
