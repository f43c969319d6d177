#include "loop.h"

#include "deadline.h"
#include "look.h"
#include "mem.h"
#include "object.h"
#include "os.h"
#include "status.h"

/** A callback that another thread may have asked for. */
typedef struct fer__posted {
    fer__link link;
    fer_posted_cb cb;
    void *user;
} fer__posted;

/* Checks. */

fer_status fer__loop_refuse(const fer_loop *loop) {
    if (fer__loop_is_forked(loop))
        return fer__fail(FER_EFORK, "make a new loop in the child of a fork");
    return fer__fail(FER_ETHREAD, "only fer_loop_post, _wake and _stop work from any thread");
}

static int has_posted(const fer_loop *loop) {
    uv_mutex_t *lock = (uv_mutex_t *)&loop->lock;
    int yes;
    uv_mutex_lock(lock);
    yes = !fer__link_alone(&loop->posted) || !fer__link_alone(&loop->reap);
    uv_mutex_unlock(lock);
    return yes;
}

int fer__loop_is_alive(const fer_loop *loop) {
    return uv_loop_alive(loop->uv) || !fer__link_alone(&loop->ready) || has_posted(loop);
}

/* Turns. */

static void on_idle(uv_idle_t *idle) {
    (void)idle;
}

void fer__loop_touch(fer_loop *loop) {
    if (loop->uv == NULL || loop->handles == 0)
        return;
    if (!fer__link_alone(&loop->ready) || loop->leaving)
        uv_idle_start(&loop->idle, on_idle);
    if (loop->notify != NULL && !loop->running && !loop->notified) {
        loop->notified = 1;
        loop->notify(loop, loop->notify_user);
    }
}

void fer__loop_run_ready(fer_loop *loop) {
    fer__link due;
    fer__link_move_all(&loop->ready, &due);
    while (!fer__link_alone(&due)) {
        fer__object *object = FER__CONTAINER(due.next, fer__object, ready);
        fer__link_remove(&object->ready);
        object->class->run(object);
        fer__object_release(object);
    }
    if (loop->handles != 0 && fer__link_alone(&loop->ready) && !loop->leaving)
        uv_idle_stop(&loop->idle);
}

static void close_handles(fer_loop *loop);

static void on_prepare(uv_prepare_t *prepare) {
    fer_loop *loop = prepare->data;
    loop->turn++;
    fer__loop_run_ready(loop);
    if (loop->leaving && fer__link_alone(&loop->objects) && fer__link_alone(&loop->ready))
        close_handles(loop);
    if (loop->look.channel != NULL || loop->look.active)
        fer__look_turn(loop);
    /* libuv tells the kernel next. */
    loop->unpolled = 0;
}

/* Close what other threads dropped. */
static void run_reap(fer_loop *loop) {
    fer__link reap;
    uv_mutex_lock(&loop->lock);
    fer__link_move_all(&loop->reap, &reap);
    uv_mutex_unlock(&loop->lock);
    while (!fer__link_alone(&reap)) {
        fer__object *object = FER__CONTAINER(reap.next, fer__object, reap);
        fer__link_remove(&object->reap);
        if (object->state == FER__OPEN)
            object->class->abort(object);
        fer__object_release(object);
    }
}

/* Run what other threads left. `status` is what the posted callbacks get. */
static void run_posted(fer_loop *loop, fer_status status) {
    fer__link posted;
    run_reap(loop);
    uv_mutex_lock(&loop->lock);
    fer__link_move_all(&loop->posted, &posted);
    uv_mutex_unlock(&loop->lock);
    while (!fer__link_alone(&posted)) {
        fer__posted *entry = FER__CONTAINER(posted.next, fer__posted, link);
        fer_posted_cb cb = entry->cb;
        void *user = entry->user;
        fer__link_remove(&entry->link);
        fer__free(entry);
        if (status != FER_OK)
            fer__fail(status, "the loop was closed before the call ran");
        cb(loop, status, user);
    }
}

static void on_async(uv_async_t *async) {
    fer_loop *loop = async->data;
    if (atomic_load(&loop->stopping))
        uv_stop(loop->uv);
    run_posted(loop, FER_OK);
}

/* Timers may run before the wait as well: then there must be none. */
static void on_step_timer(uv_timer_t *timer) {
    uv_stop(timer->loop);
}

/* Making one. */

static fer_loop *make(fer__loop_kind kind) {
    uint64_t mark = fer__os_process_mark();
    const fer__watch none = FER__WATCH_INIT;
    fer_loop *loop = mark != 0 ? fer__zalloc(sizeof *loop) : NULL;
    if (loop == NULL)
        return NULL;
    atomic_init(&loop->refs, 1);
    atomic_init(&loop->closed, 0);
    atomic_init(&loop->stopping, 0);
    loop->kind = (uint8_t)kind;
    loop->mark = mark;
    loop->thread = uv_thread_self();
    fer__busy_init(&loop->look.answers);
    fer__link_init(&loop->objects);
    fer__link_init(&loop->ready);
    fer__link_init(&loop->ios);
    loop->watch = none;
    fer__link_init(&loop->deadlines);
    fer__link_init(&loop->posted);
    fer__link_init(&loop->reap);
    return loop;
}

/* Put the library's own handles on loop->uv. */
static fer_status open_handles(fer_loop *loop) {
    int r = uv_mutex_init(&loop->lock);
    if (r != 0)
        return fer__fail_plain(fer__status_from_errno(-r));
    r = uv_async_init(loop->uv, &loop->async, on_async);
    if (r != 0) {
        uv_mutex_destroy(&loop->lock);
        return fer__fail_plain(fer__status_from_errno(-r));
    }
    uv_prepare_init(loop->uv, &loop->prepare);
    uv_idle_init(loop->uv, &loop->idle);
    uv_idle_init(loop->uv, &loop->looking);
    uv_timer_init(loop->uv, &loop->timer);
    uv_timer_init(loop->uv, &loop->step);
    loop->async.data = loop;
    loop->prepare.data = loop;
    loop->idle.data = loop;
    loop->timer.data = loop;
    loop->step.data = loop;
    loop->looking.data = loop;
    loop->handles = 6;
    uv_prepare_start(&loop->prepare, on_prepare);
    loop->unpolled = 1;
    uv_unref((uv_handle_t *)&loop->async);
    uv_unref((uv_handle_t *)&loop->prepare);
    uv_unref((uv_handle_t *)&loop->looking);
    return FER_OK;
}

fer_status fer__loop_new(fer_loop **out) {
    fer_loop *loop = make(FER__LOOP_OWN);
    fer_status status;
    int r;
    if (loop == NULL)
        return fer__fail_plain(FER_ENOMEM);
    r = uv_loop_init(&loop->own);
    if (r != 0) {
        fer__free(loop);
        return fer__fail(fer__status_from_errno(-r), "the event queue could not be made");
    }
    loop->uv = &loop->own;
    status = open_handles(loop);
    if (status != FER_OK) {
        uv_loop_close(&loop->own);
        fer__free(loop);
        return status;
    }
    /* libuv gives its descriptors to the kernel in a turn: fer_loop_fd() is of use from then on. */
    fer__loop_step(loop, 0);
    *out = loop;
    return FER_OK;
}

fer_status fer__loop_attach(uv_loop_t *uv, fer_loop **out) {
    fer_loop *loop;
    fer_status status;
    if (!fer__uv_is_usable())
        return fer__fail(FER_EVERSION, "libuv %s is loaded; built for %d.%d.%d",
                         uv_version_string(), FER__UV_MAJOR, FER__UV_MINOR, FER__UV_PATCH);
    loop = make(FER__LOOP_BORROWED);
    if (loop == NULL)
        return fer__fail_plain(FER_ENOMEM);
    loop->uv = uv;
    status = open_handles(loop);
    if (status != FER_OK) {
        fer__free(loop);
        return status;
    }
    *out = loop;
    return FER_OK;
}

fer_status fer__loop_new_blocking(fer_loop **out) {
    fer_loop *loop = make(FER__LOOP_BLOCKING);
    if (loop == NULL)
        return fer__fail_plain(FER_ENOMEM);
    *out = loop;
    return FER_OK;
}

/* Running. */

static fer_status leave_run(fer_loop *loop) {
    fer_status status = loop->failure;
    loop->running = 0;
    loop->notified = 0;
    loop->failure = FER_OK;
    atomic_store(&loop->stopping, 0);
    return status == FER_OK ? FER_OK : fer__fail_plain(status);
}

fer_status fer__loop_run(fer_loop *loop) {
    loop->running = 1;
    while (!atomic_load(&loop->stopping) && fer__loop_is_alive(loop)) {
        if (has_posted(loop))
            run_posted(loop, FER_OK);
        uv_run(loop->uv, UV_RUN_DEFAULT);
    }
    return leave_run(loop);
}

fer_status fer__loop_step(fer_loop *loop, int64_t timeout_ms) {
    loop->running = 1;
    loop->stepping = 1;
    if (!atomic_load(&loop->stopping)) {
        if (timeout_ms > 0) {
            uv_update_time(loop->uv);
            uv_timer_start(&loop->step, on_step_timer, (uint64_t)timeout_ms, 0);
        }
        if (timeout_ms != 0)
            fer__look_linger(loop);
        /* libuv does not even look at its descriptors when nothing refers to the loop. */
        uv_ref((uv_handle_t *)&loop->async);
        uv_run(loop->uv, timeout_ms == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
        uv_unref((uv_handle_t *)&loop->async);
        if (timeout_ms > 0)
            uv_timer_stop(&loop->step);
        /* What the turn left: a host would otherwise have to call again at once. */
        fer__loop_run_ready(loop);
    }
    loop->stepping = 0;
    return leave_run(loop);
}

void fer__loop_stop(fer_loop *loop) {
    if (loop->kind != FER__LOOP_OWN)
        return;
    atomic_store(&loop->stopping, 1);
    fer__loop_wake(loop);
}

void fer__loop_fail(fer_loop *loop, fer_status status) {
    if (loop->failure == FER_OK)
        loop->failure = status;
    if (loop->kind != FER__LOOP_OWN)
        return;
    atomic_store(&loop->stopping, 1);
    uv_stop(loop->uv);
}

void fer__loop_wake(fer_loop *loop) {
    uv_mutex_lock(&loop->lock);
    if (!atomic_load(&loop->closed))
        uv_async_send(&loop->async);
    uv_mutex_unlock(&loop->lock);
}

fer_status fer__loop_post(fer_loop *loop, fer_posted_cb cb, void *user) {
    fer__posted *entry = fer__malloc(sizeof *entry);
    if (entry == NULL)
        return fer__fail_plain(FER_ENOMEM);
    entry->cb = cb;
    entry->user = user;
    uv_mutex_lock(&loop->lock);
    if (atomic_load(&loop->closed)) {
        uv_mutex_unlock(&loop->lock);
        fer__free(entry);
        return fer__fail_plain(FER_ECLOSED);
    }
    fer__link_append(&loop->posted, &entry->link);
    uv_async_send(&loop->async);
    uv_mutex_unlock(&loop->lock);
    return FER_OK;
}

int64_t fer__loop_timeout(const fer_loop *loop) {
    uv_handle_t *async = (uv_handle_t *)(uintptr_t)&loop->async;
    int timeout;
    /* libuv before 1.44 does not say itself that its descriptor does not speak for all watched ones yet. */
    if (!fer__link_alone(&loop->ready) || loop->unpolled)
        return 0;
    uv_update_time(loop->uv);
    /* libuv does not wait at all when nothing refers to the loop; who embeds it waits all the same. */
    uv_ref(async);
    timeout = uv_backend_timeout(loop->uv);
    uv_unref(async);
    return timeout;
}

void fer__loop_set_notify(fer_loop *loop, fer_notify_cb cb, void *user, fer_finalizer finalizer) {
    fer_finalizer old_finalizer = loop->notify_finalizer;
    void *old_user = loop->notify_user;
    loop->notify = cb;
    loop->notify_user = user;
    loop->notify_finalizer = finalizer;
    if (old_finalizer != NULL)
        old_finalizer(old_user);
}

/* The end. */

void fer__loop_close_objects(fer_loop *loop) {
    fer__link *at = loop->objects.next;
    /* Aborting may finish at once and take the object out of the list, but never others. */
    while (at != &loop->objects) {
        fer__object *object = FER__CONTAINER(at, fer__object, all);
        at = at->next;
        object->class->abort(object);
    }
}

/* No more posting from here on; what was posted is canceled. */
static void refuse_posts(fer_loop *loop) {
    uv_mutex_lock(&loop->lock);
    atomic_store(&loop->closed, 1);
    uv_mutex_unlock(&loop->lock);
    run_posted(loop, FER_ECANCELED);
}

static void on_handle_closed(uv_handle_t *handle) {
    fer_loop *loop = handle->data;
    if (--loop->handles != 0 || loop->kind != FER__LOOP_BORROWED)
        return;
    refuse_posts(loop);
    if (loop->detached != NULL)
        loop->detached(loop, loop->detached_user);
    fer__loop_unref(loop);
}

static void close_handles(fer_loop *loop) {
    if (uv_is_closing((uv_handle_t *)&loop->async))
        return;
    /* The async handle closes under the lock: nobody may send on it afterwards. */
    uv_mutex_lock(&loop->lock);
    atomic_store(&loop->closed, 1);
    uv_close((uv_handle_t *)&loop->async, on_handle_closed);
    uv_mutex_unlock(&loop->lock);
    uv_close((uv_handle_t *)&loop->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&loop->idle, on_handle_closed);
    uv_close((uv_handle_t *)&loop->looking, on_handle_closed);
    uv_close((uv_handle_t *)&loop->timer, on_handle_closed);
    uv_close((uv_handle_t *)&loop->step, on_handle_closed);
}

fer_status fer__loop_detach(fer_loop *loop, fer_detached_cb cb, void *user) {
    if (loop->leaving)
        return fer__fail(FER_ECLOSED, "the loop is detached already");
    loop->leaving = 1;
    loop->detached = cb;
    loop->detached_user = user;
    fer__loop_ref(loop);
    fer__loop_close_objects(loop);
    fer__loop_touch(loop);
    return FER_OK;
}

static fer_status close_own(fer_loop *loop) {
    run_reap(loop);
    fer__loop_run_ready(loop);
    if (!fer__link_alone(&loop->objects) || !fer__link_alone(&loop->ready))
        return fer__fail(FER_EBUSY, "something on the loop is not closed");
    refuse_posts(loop);
    fer__loop_set_notify(loop, NULL, NULL, NULL);
    close_handles(loop);
    /* More than once after fer_loop_fail(), which has told libuv to stop. */
    while (uv_run(loop->uv, UV_RUN_DEFAULT) != 0)
        continue;
    if (uv_loop_close(loop->uv) != 0)
        return fer__fail(FER_EBUSY, "something of libuv is open on the loop");
    return FER_OK;
}

fer_status fer__loop_close(fer_loop *loop) {
    fer_status status;
    if (loop->running)
        return fer__fail(FER_EBUSY, "the loop runs");
    /* The callbacks that run now may drop the last reference, or try to run or close the loop. */
    fer__loop_ref(loop);
    loop->running = 1;
    status = close_own(loop);
    loop->running = 0;
    if (status != FER_OK)
        fer__loop_touch(loop);
    fer__loop_unref(loop);
    return status;
}

void fer__loop_object_gone(fer_loop *loop) {
    if (loop->leaving)
        fer__loop_touch(loop);
}

void fer__loop_ref(fer_loop *loop) {
    atomic_fetch_add_explicit(&loop->refs, 1, memory_order_relaxed);
}

void fer__loop_unref(fer_loop *loop) {
    if (atomic_fetch_sub_explicit(&loop->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (loop->kind != FER__LOOP_BLOCKING) {
        /* Its descriptors are open and belong to another thread: see fer_loop_unref(). */
        if (!atomic_load(&loop->closed))
            return;
        uv_mutex_destroy(&loop->lock);
    }
    fer__loop_set_notify(loop, NULL, NULL, NULL);
    fer__batch_clear(&loop->batch, &loop->pool);
    fer__pool_free(&loop->pool);
    fer__batch_free(&loop->batch);
    fer__free(loop);
}
