/* SPDX-License-Identifier: MIT */
#include "view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void view_time(struct bytes_s *to, uint64_t time)
{
    time_t seconds = (time_t)(time / 1000000000u);
    struct tm tm;

    localtime_r(&seconds, &tm);
    bytes_printf(to, "%02d:%02d:%02d.%06u ", tm.tm_hour, tm.tm_min, tm.tm_sec,
                 (unsigned)(time % 1000000000u / 1000));
}

static void end_line(struct view_s *view, struct bytes_s *to)
{
    bytes_add(to, "\r\n", 2);
    if (!view->raw_screen) {
        to->size -= 2;
        bytes_add(to, "\n", 1);
    }
    view->in_line = false;
}

static void start_line(struct view_s *view, struct bytes_s *to, uint64_t time)
{
    if (!view->in_line && view->timestamps)
        view_time(to, time);
    view->in_line = true;
}

/* --- as they are --- */

static void put_raw(struct view_s *view, struct bytes_s *to, const uint8_t *data, size_t size,
                    uint64_t time)
{
    if (!view->timestamps && !view->crlf) {
        bytes_add(to, data, size);
        view->in_line = size > 0 ? data[size - 1] != '\n' : view->in_line;
        return;
    }
    for (size_t i = 0; i < size; i++) {
        bool empty = data[i] == '\n' && !view->in_line;

        /* A CR after the LF belongs to the line that has ended; an empty line has a time too. */
        if (data[i] != '\r')
            start_line(view, to, time);
        if (data[i] == '\n' && view->crlf && (!view->after_cr || (empty && view->timestamps)))
            bytes_add(to, "\r", 1);
        bytes_add(to, &data[i], 1);
        view->after_cr = data[i] == '\r';
        if (data[i] == '\n')
            view->in_line = false;
    }
}

/* --- text --- */

static void put_escaped(struct bytes_s *to, uint8_t byte)
{
    switch (byte) {
    case '\n':
        bytes_add(to, "\\n", 2);
        break;
    case '\r':
        bytes_add(to, "\\r", 2);
        break;
    case '\t':
        bytes_add(to, "\\t", 2);
        break;
    case '\\':
        bytes_add(to, "\\\\", 2);
        break;
    default:
        if (byte >= 0x20 && byte < 0x7f)
            bytes_add(to, &byte, 1);
        else
            bytes_printf(to, "\\x%02x", byte);
        break;
    }
}

/* Length of the UTF-8 character that starts with `byte`, 0: none does. */
static size_t utf8_length(uint8_t byte)
{
    if (byte >= 0xc2 && byte <= 0xdf)
        return 2;
    if (byte >= 0xe0 && byte <= 0xef)
        return 3;
    return byte >= 0xf0 && byte <= 0xf4 ? 4 : 0;
}

/* Overlong forms, surrogates, and the control characters U+0080 to U+009F are not printed. */
static bool utf8_printable(const uint8_t *c)
{
    switch (c[0]) {
    case 0xc2:
        return c[1] >= 0xa0;
    case 0xe0:
        return c[1] >= 0xa0;
    case 0xed:
        return c[1] <= 0x9f;
    case 0xf0:
        return c[1] >= 0x90;
    case 0xf4:
        return c[1] <= 0x8f;
    default:
        return true;
    }
}

/* What is held is not a character: shows its bytes. */
static void release(struct view_s *view, struct bytes_s *to)
{
    for (size_t i = 0; i < view->held; i++)
        put_escaped(to, view->row[i]);
    view->held = 0;
}

static void put_text_byte(struct view_s *view, struct bytes_s *to, uint8_t byte)
{
    if (view->held > 0 && (byte & 0xc0) == 0x80) {
        view->row[view->held++] = byte;
        if (view->held < view->expected)
            return;
        if (utf8_printable(view->row)) {
            bytes_add(to, view->row, view->held);
            view->held = 0;
        }
        release(view, to);
        return;
    }
    release(view, to);
    view->expected = utf8_length(byte);
    if (view->expected > 0)
        view->row[view->held++] = byte;
    else
        put_escaped(to, byte);
}

static void put_text(struct view_s *view, struct bytes_s *to, const uint8_t *data, size_t size,
                     uint64_t time)
{
    for (size_t i = 0; i < size; i++) {
        start_line(view, to, time);
        if (data[i] == '\n' && !view->frames) {
            release(view, to);
            end_line(view, to);
        } else {
            put_text_byte(view, to, data[i]);
        }
    }
}

/* --- hexadecimal --- */

/* A time takes the place of the offset, and leaves room in 80 columns for fewer bytes. */
static size_t row_width(const struct view_s *view)
{
    return view->timestamps ? 12 : VIEW_ROW;
}

static void put_row(struct view_s *view, struct bytes_s *to)
{
    size_t width = row_width(view);

    start_line(view, to, view->row_time);
    if (!view->timestamps)
        bytes_printf(to, "%08" PRIx64 " ", view->offset);
    for (size_t i = 0; i < width; i++) {
        if (i % (width / 2) == 0)
            bytes_add(to, " ", 1);
        if (i < view->held)
            bytes_printf(to, "%02x ", view->row[i]);
        else
            bytes_add(to, "   ", 3);
    }
    bytes_add(to, " |", 2);
    for (size_t i = 0; i < view->held; i++) {
        char c = view->row[i] >= 0x20 && view->row[i] < 0x7f ? (char)view->row[i] : '.';
        bytes_add(to, &c, 1);
    }
    bytes_add(to, "|", 1);
    end_line(view, to);
    view->offset += view->held;
    view->held = 0;
}

static void put_hex(struct view_s *view, struct bytes_s *to, const uint8_t *data, size_t size,
                    uint64_t time)
{
    for (size_t i = 0; i < size; i++) {
        if (view->held == 0)
            view->row_time = time;
        view->row[view->held++] = data[i];
        if (view->held == row_width(view))
            put_row(view, to);
    }
}

void view_put(struct view_s *view, struct bytes_s *to, const uint8_t *data, size_t size,
              uint64_t time)
{
    switch (view->mode) {
    case VIEW_RAW:
        put_raw(view, to, data, size, time);
        break;
    case VIEW_TEXT:
        put_text(view, to, data, size, time);
        break;
    case VIEW_HEX:
        put_hex(view, to, data, size, time);
        break;
    }
}

void view_flush(struct view_s *view, struct bytes_s *to, bool line)
{
    if (view->mode == VIEW_HEX && view->held > 0)
        put_row(view, to);
    else if (view->mode == VIEW_TEXT)
        release(view, to);
    if (line && view->in_line)
        end_line(view, to);
}

void view_end_frame(struct view_s *view, struct bytes_s *to, uint64_t time)
{
    if (view->mode == VIEW_HEX) {
        view->row_time = view->held > 0 ? view->row_time : time;
        if (view->held > 0 || view->offset == 0) /* an empty frame is a row as well */
            put_row(view, to);
        view->offset = 0;
        return;
    }
    start_line(view, to, time);
    view_flush(view, to, true);
}
