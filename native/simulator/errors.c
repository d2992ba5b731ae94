#include "errors.h"

#include <ctype.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

static struct { int code; const char *name; char text[64]; } errors[] = {
    {0, "CUDA_SUCCESS", "no error"},
#define ERROR(name, code) {code, "CUDA_ERROR_" #name, ""},
#include "error_codes.h"
};
enum { COUNT = sizeof errors / sizeof errors[0] };

/* The text is the name in plain words. */
static void spell(void) {
    size_t prefix = strlen("CUDA_ERROR_");
    for (int i = 1; i < COUNT; i++) {
        const char *name = errors[i].name + prefix;
        for (size_t at = 0; name[at] && at < sizeof errors[i].text - 1; at++)
            errors[i].text[at] = name[at] == '_' ? ' ' : (char)tolower((unsigned char)name[at]);
    }
}

static int find(int code) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, spell);
    for (int i = 0; i < COUNT; i++)
        if (errors[i].code == code) return i;
    return -1;
}

const char *error_name(int code) {
    int at = find(code);
    return at < 0 ? NULL : errors[at].name;
}

const char *error_text(int code) {
    int at = find(code);
    return at < 0 ? NULL : errors[at].text;
}

int error_code(const char *name, int length) {
    for (int i = 0; i < COUNT; i++)
        if ((int)strlen(errors[i].name) == length && !strncmp(errors[i].name, name, (size_t)length)) return errors[i].code;
    return -1;
}
