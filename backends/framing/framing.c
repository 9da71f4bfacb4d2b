/* SPDX-License-Identifier: MIT */
/* The drivers: what their specs say. kroutine-framing(7). */
#include <errno.h>

#include "internal.h"
#include "layer.h"

#define MAX_LARGEST (16u << 20)
#define MAX_USUAL   4096
/* Modbus over serial line V1.02, 2.5.1: 256 bytes on the line, with the CRC. */
#define MAX_MODBUS 254

#define PARAM_MAX                                                                                  \
    {                                                                                              \
        "max", "largest frame, bytes of payload", NULL, 1, MAX_LARGEST, DRIVER_PARAM_UINT          \
    }
#define PARAM_END                                                                                  \
    {                                                                                              \
        NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT                                                  \
    }

#define DRIVER(variable, driver_name, text, keys, open)                                            \
    const struct driver_s variable = {                                                             \
        .name = driver_name,                                                                       \
        .desc = text,                                                                              \
        .params = keys,                                                                            \
        .pv_size = sizeof(struct kr_layer_pv_s),                                                   \
        .f_open = open,                                                                            \
        .f_close = kr_layer_close,                                                                 \
        .f_free = kr_layer_free,                                                                   \
        .classes = {(const struct driver_class_table_s *)&kr_layer_char},                          \
        .layered = true,                                                                           \
    }

static size_t max_of(const struct device_spec_s *spec, size_t usual)
{
    return (size_t)device_spec_uint(spec, "max", usual);
}

/* --- slip, cobs --- */

static const struct driver_param_s plain_params[] = {PARAM_MAX, PARAM_END};

static error_t slip_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct kr_codec_config_s config = {.max = max_of(spec, MAX_USUAL)};

    return kr_layer_open(dev, spec, &kr_codec_slip, &config, 0);
}

DRIVER(kr_driver_slip, "slip", "SLIP frames (RFC 1055) over another char device", plain_params,
       slip_open);

static error_t cobs_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct kr_codec_config_s config = {.max = max_of(spec, MAX_USUAL)};

    return kr_layer_open(dev, spec, &kr_codec_cobs, &config, 0);
}

DRIVER(kr_driver_cobs, "cobs", "COBS frames, with a 0 after each, over another char device",
       plain_params, cobs_open);

/* --- hdlc --- */

static const struct driver_param_s hdlc_params[] = {
    PARAM_MAX,
    {"accm", "control characters that are escaped, a bit each (0x00000000)", NULL, 0, UINT32_MAX,
     DRIVER_PARAM_UINT},
    PARAM_END,
};

static error_t hdlc_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct kr_codec_config_s config = {.max = max_of(spec, MAX_USUAL),
                                       .accm = (uint32_t)device_spec_uint(spec, "accm", 0)};

    return kr_layer_open(dev, spec, &kr_codec_hdlc, &config, 0);
}

DRIVER(kr_driver_hdlc, "hdlc", "HDLC-like frames (RFC 1662, FCS-16) over another char device",
       hdlc_params, hdlc_open);

/* --- lines --- */

enum end_e { END_LF, END_CRLF, END_CR };

static const struct driver_param_s lines_params[] = {
    PARAM_MAX,
    {"end", "of a line; crlf: reads take a bare LF too", "lf|crlf|cr", 0, 0, DRIVER_PARAM_ENUM},
    PARAM_END,
};

static error_t lines_open(struct device_s *dev, const struct device_spec_s *spec)
{
    static const struct kr_codec_config_s ends[] = {
        [END_LF] = {.line_end = "\n", .line_end_size = 1},
        [END_CRLF] = {.line_end = "\r\n", .line_end_size = 2, .line_crlf = true},
        [END_CR] = {.line_end = "\r", .line_end_size = 1},
    };
    struct kr_codec_config_s config = ends[device_spec_uint(spec, "end", END_LF)];

    config.max = max_of(spec, MAX_USUAL);
    return kr_layer_open(dev, spec, &kr_codec_lines, &config, 0);
}

DRIVER(kr_driver_lines, "lines", "lines of text over another char device", lines_params,
       lines_open);

/* --- length --- */

static const struct driver_param_s length_params[] = {
    PARAM_MAX,
    {"size", "of the length: bytes and their order (2be)", "1|2be|2le|4be|4le", 0, 0,
     DRIVER_PARAM_ENUM},
    PARAM_END,
};

static error_t length_open(struct device_s *dev, const struct device_spec_s *spec)
{
    static const struct kr_codec_config_s sizes[] = {
        {.length_bytes = 1, .length_big_endian = true},
        {.length_bytes = 2, .length_big_endian = true},
        {.length_bytes = 2},
        {.length_bytes = 4, .length_big_endian = true},
        {.length_bytes = 4},
    };
    struct kr_codec_config_s config = sizes[device_spec_uint(spec, "size", 1)];
    uint64_t longest = (UINT64_C(1) << 8 * config.length_bytes) - 1;

    config.max = max_of(spec, longest < MAX_USUAL ? longest : MAX_USUAL);
    if (config.max > longest)
        return device_error(-ERANGE, "max=%zu: size=%s can say %u at most", config.max,
                            device_spec_string(spec, "size", "2be"), (unsigned)longest);
    return kr_layer_open(dev, spec, &kr_codec_length, &config, 0);
}

DRIVER(kr_driver_length, "length", "frames with their length in front over another char device",
       length_params, length_open);

/* --- modbus-rtu --- */

static const struct driver_param_s modbus_params[] = {
    PARAM_MAX,
    {"gap", "silence between frames, N[us|ms] (3.5 characters of the line)", NULL, 0, 0,
     DRIVER_PARAM_STRING},
    PARAM_END,
};

static error_t modbus_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct kr_codec_config_s config = {.max = max_of(spec, MAX_MODBUS)};
    const char *text = device_spec_string(spec, "gap", NULL);
    uint64_t gap = UINT64_MAX;

    if (text && !kr_parse_gap(&gap, text))
        return device_error(-EINVAL, "gap=%s: not a time, 1ns to 3600000ms: gap=1750us", text);
    return kr_layer_open(dev, spec, &kr_codec_modbus, &config, gap);
}

DRIVER(kr_driver_modbus, "modbus-rtu", "Modbus RTU frames (silence, CRC-16) over a serial port",
       modbus_params, modbus_open);
