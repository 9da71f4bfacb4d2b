/* SPDX-License-Identifier: MIT */
#include "output.h"
#include "session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool grow(struct bytes_s *to, size_t size)
{
    size_t room = to->room != 0 ? to->room : 4096;

    while (room - to->size < size)
        room *= 2;
    if (room == to->room)
        return true;
    uint8_t *data = realloc(to->data, room);
    if (data == NULL)
        return false;
    to->data = data;
    to->room = room;
    return true;
}

bool bytes_add(struct bytes_s *to, const void *data, size_t size)
{
    if (size == 0)
        return true;
    if (!grow(to, size))
        return false;
    memcpy(to->data + to->size, data, size);
    to->size += size;
    return true;
}

bool bytes_printf(struct bytes_s *to, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return len >= 0 && (size_t)len < sizeof(text) && bytes_add(to, text, (size_t)len);
}

bool bytes_json(struct bytes_s *to, const char *text)
{
    bool done = bytes_add(to, "\"", 1);

    for (; done && *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            done = bytes_printf(to, "\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            done = bytes_printf(to, "\\u%04x", (unsigned)*text);
        else
            done = bytes_add(to, text, 1);
    }
    return done && bytes_add(to, "\"", 1);
}

static void submit(struct output_s *out)
{
    struct bytes_s written = out->current;

    out->current = out->next;
    out->next = written;
    out->next.size = 0;
    out->busy = true;
    out->rq.type = out->type;
    out->rq.data = out->current.data;
    out->rq.size = out->current.size;
    DEVICE_OP(&out->dev, request, &out->rq);
}

static KROUTINE_EXEC(written)
{
    struct output_s *out = dev_char_rq_from_kr(kr)->pvdata;

    out->busy = false;
    out->written += out->current.size - out->rq.size;
    if (out->rq.error != 0) {
        out->broken = true;
        out->failed(out, out->rq.error);
    } else if (out->draining) {
        out->draining = false;
        if (!out->session->over)
            out->drained(out);
    } else if (out->next.size > 0) {
        submit(out);
    } else if (out->idle != NULL && !out->session->over) {
        out->idle(out);
    }
}

void output_init(struct output_s *out, struct session_s *s,
                 void (*failed)(struct output_s *out, error_t err))
{
    out->session = s;
    out->type = DEV_CHAR_WRITE;
    out->failed = failed;
    out->broken = false;
    dev_char_rq_init_sched_switch(&out->rq, written);
    out->rq.pvdata = out;
    kroutine_bind(&out->rq.base.kr, s->runtime); /* for output_flush without a submit */
}

void output_flush(struct output_s *out)
{
    if (out->busy || out->broken)
        return;
    if (out->next.size > 0) {
        submit(out);
    } else if (out->idle != NULL) {
        out->busy = true;
        out->rq.size = out->current.size = 0;
        kroutine_exec(&out->rq.base.kr); /* nothing to write: straight to the end */
    }
}

void output_drain(struct output_s *out)
{
    out->busy = out->draining = true;
    out->current.size = 0;
    out->rq.type = DEV_CHAR_WRITE_FLUSH;
    out->rq.data = out->current.data;
    out->rq.size = 0;
    DEVICE_OP(&out->dev, request, &out->rq);
}

void output_free(struct output_s *out)
{
    free(out->next.data);
    free(out->current.data);
}
