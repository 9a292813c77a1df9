/* In the place of the library's header: the program of tests/bits links no library, and only names
 * the type (format/config.h). */
#pragma once
typedef struct json_t json_t;
