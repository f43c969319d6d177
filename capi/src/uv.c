#include "ferrule/uv.h"

#include "check.h"

fer_status fer_loop_attach(struct uv_loop_s *uv, fer_loop **loop) {
    FER__TRY(FER__REQUIRE(loop != NULL, "loop"));
    *loop = NULL;
    FER__TRY(FER__REQUIRE(uv != NULL, "uv"));
    return fer__loop_attach(uv, loop);
}

fer_status fer_loop_detach(fer_loop *loop, fer_detached_cb cb, void *user) {
    FER__TRY(fer__check_loop(loop));
    if (loop->kind != FER__LOOP_BORROWED)
        return fer__fail(FER_ENOTSUP, "a loop of its own is closed with fer_loop_close()");
    return fer__loop_detach(loop, cb, user);
}
