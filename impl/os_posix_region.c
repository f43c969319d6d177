/* Memory that two processes share. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "os_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "status.h"

#if defined(__linux__) && defined(F_ADD_SEALS)

/* Memory that could be made shorter would end in SIGBUS who looks at it. */
enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

int fer__os_has_regions(void) {
    return 1;
}

static int map(fer__fd fd, size_t offset, size_t size, int may_write, uint8_t **memory) {
    int how = may_write ? PROT_READ | PROT_WRITE : PROT_READ;
    void *mapped = mmap(NULL, size, how, MAP_SHARED, fd, (off_t)offset);
    if (mapped == MAP_FAILED)
        return errno;
    *memory = mapped;
    return 0;
}

fer_status fer__os_make_region(size_t size, fer__fd *fd, uint8_t **memory) {
    int saved = errno;
    int number = 0;
    *fd = memfd_create("ferrule", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0)
        number = errno;
    if (number == 0 && ftruncate(*fd, (off_t)size) != 0)
        number = errno;
    if (number == 0 && fcntl(*fd, F_ADD_SEALS, SEALS) != 0)
        number = errno;
    if (number == 0)
        number = map(*fd, 0, size, 1, memory);
    if (number != 0 && *fd >= 0)
        close(*fd);
    if (number != 0)
        *fd = FER__NO_FD;
    return fer__os_finish(saved, number);
}

static fer_status check(fer__fd fd, size_t size) {
    struct stat info;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0)
        return fer__fail(FER_EPROTO, "the peer's shared memory could be taken away");
    if (fstat(fd, &info) != 0)
        return fer__fail_plain(fer__status_from_errno(errno));
    if (info.st_size < 0 || (uint64_t)info.st_size != size)
        return fer__fail(FER_EPROTO, "the peer's shared memory has another size than it says");
    return FER_OK;
}

fer_status fer__os_map_region(fer__fd fd, size_t size, size_t writable, uint8_t **first,
                              uint8_t **rest) {
    int saved = errno;
    fer_status status = check(fd, size);
    int number = 0;
    if (status != FER_OK) {
        errno = saved;
        return status;
    }
    number = map(fd, 0, writable, 1, first);
    if (number == 0) {
        number = map(fd, writable, size - writable, 0, rest);
        if (number != 0)
            munmap(*first, writable);
    }
    return fer__os_finish(saved, number);
}

void fer__os_unmap(uint8_t *memory, size_t size) {
    int saved = errno;
    if (memory != NULL)
        (void)munmap(memory, size);
    errno = saved;
}

#else

int fer__os_has_regions(void) {
    return 0;
}

fer_status fer__os_make_region(size_t size, fer__fd *fd, uint8_t **memory) {
    (void)size;
    (void)fd;
    (void)memory;
    return fer__fail_plain(FER_ENOTSUP);
}

fer_status fer__os_map_region(fer__fd fd, size_t size, size_t writable, uint8_t **first,
                              uint8_t **rest) {
    (void)fd;
    (void)size;
    (void)writable;
    (void)first;
    (void)rest;
    return fer__fail_plain(FER_ENOTSUP);
}

void fer__os_unmap(uint8_t *memory, size_t size) {
    (void)memory;
    (void)size;
}

#endif
