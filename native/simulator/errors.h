#ifndef SIM_ERRORS_H
#define SIM_ERRORS_H

const char *error_name(int code);             /* NULL: unknown */
const char *error_text(int code);             /* NULL: unknown */
int error_code(const char *name, int length); /* -1: unknown */

#endif
