/* A program by somebody who knows only the installed package. */
#include <ferrule.h>
#include <stdio.h>
#include <string.h>

int main(void) {
    fer_loop *loop = NULL;
    fer_status status = fer_version_check(FER_VERSION_HEX);
    if (status != FER_OK) {
        printf("fer_version_check: %s\n", fer_status_name(status));
        return 1;
    }
    status = fer_loop_new(&loop);
    if (status != FER_OK) {
        printf("fer_loop_new: %s\n", fer_status_name(status));
        return 1;
    }
    status = fer_loop_run(loop);
    if (status == FER_OK)
        status = fer_loop_close(loop);
    fer_loop_unref(loop);
    if (status != FER_OK) {
        printf("loop: %s\n", fer_status_name(status));
        return 1;
    }
    printf("ferrule %s\n", fer_version_string());
    return 0;
}
