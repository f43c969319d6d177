#include "ferrule/loop.h"

#include "check.h"
#include "impl/look.h"

fer_status fer_loop_new(fer_loop **loop) {
    FER__TRY(FER__REQUIRE(loop != NULL, "loop"));
    *loop = NULL;
    return fer__loop_new(loop);
}

fer_loop *fer_loop_ref(fer_loop *loop) {
    if (loop != NULL)
        fer__loop_ref(loop);
    return loop;
}

void fer_loop_unref(fer_loop *loop) {
    if (loop != NULL)
        fer__loop_unref(loop);
}

static fer_status check_run(fer_loop *loop) {
    FER__TRY(fer__check_own_loop(loop));
    if (loop->running)
        return fer__fail(FER_EBUSY, "the loop runs already");
    return FER_OK;
}

fer_status fer_loop_run(fer_loop *loop) {
    FER__TRY(check_run(loop));
    return fer__loop_run(loop);
}

fer_status fer_loop_step(fer_loop *loop, int64_t timeout_ms) {
    FER__TRY(check_run(loop));
    return fer__loop_step(loop, timeout_ms);
}

fer_status fer_loop_stop(fer_loop *loop) {
    FER__TRY(fer__check_loop_any_thread(loop));
    fer__loop_stop(loop);
    return FER_OK;
}

fer_status fer_loop_fail(fer_loop *loop, fer_status status) {
    FER__TRY(fer__check_loop(loop));
    FER__TRY(FER__REQUIRE(status < 0, "status"));
    fer__loop_fail(loop, status);
    return FER_OK;
}

fer_status fer_loop_wake(fer_loop *loop) {
    FER__TRY(fer__check_loop_any_thread(loop));
    fer__loop_wake(loop);
    return FER_OK;
}

fer_status fer_loop_post(fer_loop *loop, fer_posted_cb cb, void *user) {
    FER__TRY(fer__check_loop_any_thread(loop));
    FER__TRY(FER__REQUIRE(cb != NULL, "cb"));
    return fer__loop_post(loop, cb, user);
}

int fer_loop_is_alive(const fer_loop *loop) {
    if (fer__check_loop(loop) != FER_OK)
        return 0;
    return fer__loop_is_alive(loop);
}

fer_status fer_loop_fd(const fer_loop *loop, int *fd) {
    FER__TRY(fer__check_own_loop(loop));
    FER__TRY(FER__REQUIRE(fd != NULL, "fd"));
    *fd = uv_backend_fd(loop->uv);
    return FER_OK;
}

fer_status fer_loop_timeout(const fer_loop *loop, int64_t *timeout_ms) {
    FER__TRY(fer__check_own_loop(loop));
    FER__TRY(FER__REQUIRE(timeout_ms != NULL, "timeout_ms"));
    *timeout_ms = fer__loop_timeout(loop);
    return FER_OK;
}

fer_status fer_loop_linger(fer_loop *loop, int *ready) {
    FER__TRY(FER__REQUIRE(ready != NULL, "ready"));
    *ready = 0;
    FER__TRY(check_run(loop));
    *ready = fer__look_linger(loop);
    return FER_OK;
}

fer_status fer_loop_set_notify(fer_loop *loop, fer_notify_cb cb, void *user,
                               fer_finalizer finalizer) {
    FER__TRY_REGISTER(fer__check_own_loop(loop), user, finalizer);
    fer__loop_set_notify(loop, cb, user, finalizer);
    return FER_OK;
}

fer_status fer_loop_adopt(fer_loop *loop) {
    FER__TRY(fer__check_loop_any_thread(loop));
    if (loop->kind != FER__LOOP_OWN)
        return fer__fail(FER_ENOTSUP, "a borrowed loop stays with the thread that runs it");
    if (loop->running)
        return fer__fail(FER_EBUSY, "the loop runs");
    loop->thread = uv_thread_self();
    return FER_OK;
}

fer_status fer_loop_close_objects(fer_loop *loop) {
    FER__TRY(fer__check_loop(loop));
    fer__loop_close_objects(loop);
    return FER_OK;
}

fer_status fer_loop_close(fer_loop *loop) {
    FER__TRY(FER__REQUIRE(loop != NULL, "loop"));
    FER__TRY(fer__loop_check(loop));
    if (loop->kind != FER__LOOP_OWN)
        return fer__fail(FER_ENOTSUP, "a borrowed loop is left with fer_loop_detach()");
    return atomic_load(&loop->closed) ? FER_OK : fer__loop_close(loop);
}
