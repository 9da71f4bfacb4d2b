/* SPDX-License-Identifier: MIT */
/* Specs: any text is parsed or refused with a text that says why; what was parsed obeys its table.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/device.h"

#include "fuzz.h"

const char fuzz_alphabet[] = "abkM0129x%=&?:|/.-";
const char *const fuzz_words[] = {
    "?",   "&",  "u=",      "b=yes", "e=two", "s=%20", "u=0x1F", "u=1k", "u=99999999999999999999",
    "%00", "%4", "b=maybe", "z=1",   NULL};

static const struct driver_param_s params[] = {
    {"u", "", NULL, 1, 5000, DRIVER_PARAM_UINT},         {"b", "", NULL, 0, 0, DRIVER_PARAM_BOOL},
    {"e", "", "one|two|three", 0, 0, DRIVER_PARAM_ENUM}, {"s", "", NULL, 0, 0, DRIVER_PARAM_STRING},
    {NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT},
};

static const struct driver_s driver = {.name = "fuzz", .params = params};

static void require(bool claim, const char *what, const char *text)
{
    if (claim)
        return;
    fprintf(stderr, "not ok 1 - %s: '%s'\n", what, text);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct device_spec_s *spec = NULL;
    char *text = malloc(size + 1);
    error_t err;

    memcpy(text, data, size);
    text[size] = 0;
    device_error(0, "%s", "");
    err = kr_spec_parse(&spec, &driver, text, text);
    if (err) {
        require(err == -EINVAL || err == -ERANGE, "another error than documented", text);
        require(kroutine_error_text()[0] != 0, "refused without a word", text);
        require(spec == NULL, "refused, and given", text);
    } else {
        uint64_t u = device_spec_uint(spec, "u", 7);

        require(u >= 1 && u <= 5000, "u out of its range", text);
        require(device_spec_uint(spec, "b", 0) <= 1, "b is no bool", text);
        require(device_spec_uint(spec, "e", 0) <= 2, "e is no word of its list", text);
        require(strlen(device_spec_address(spec)) <= size, "the address grew", text);
        require(strlen(device_spec_string(spec, "s", "")) <= size, "s grew", text);
        kr_spec_free(spec);
    }
    free(text);
    return 0;
}
