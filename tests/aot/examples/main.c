/* What a C programmer tries first: a hash, two instances at once, a trap caught. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fnv.h"

static uint64_t hash_of(fnv_instance *fnv, const char *text) {
    memcpy(fnv__memory(fnv)->data + fnv__buffer(fnv), text, strlen(text));
    return (uint64_t)fnv__hash(fnv, (int32_t)strlen(text));
}

int main(void) {
    int32_t error;
    fnv_instance *one = fnv_instantiate(NULL, NULL, &error);
    fnv_instance *two = fnv_instantiate(NULL, NULL, &error);
    if (!one || !two) {
        printf("no instance: %s\n", jw_trap_message(error));
        return 1;
    }
    printf("%016" PRIx64 "\n", hash_of(one, "hello"));
    printf("%016" PRIx64 "\n", hash_of(one, "foobar"));
    printf("%016" PRIx64 "\n", hash_of(two, "hello"));
    printf("calls: %d and %d\n", fnv__calls(one), fnv__calls(two));
    fnv__average(one, 10, 0);
    printf("trap: %s\n", jw_trap_message(fnv_trap(one)));
    fnv__hash(two, -1);
    printf("trap: %s\n", jw_trap_message(fnv_trap(two)));
    printf("average: %d\n", fnv__average(one, 10, 4));
    fnv_free(one);
    fnv_free(two);
    return 0;
}
