/* SPDX-License-Identifier: MIT */
/*
 * Marks of damaged bytes: however the stream is torn apart, and however little room there is for
 * what comes out, bytes and marks are those that a reader of the whole finds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../backends/tty/marks.h"

#include "fuzz.h"

#define EVENTS 4096

const char fuzz_alphabet[] = "";
const char *const fuzz_words[] = {NULL};

/* Bytes as they are, marks above them. */
#define ERROR (256 + TTY_MARK_ERROR)
#define BREAK (256 + TTY_MARK_BREAK)

struct story_s {
    int event[EVENTS];
    unsigned count;
};

static void note(struct story_s *s, int event)
{
    if (s->count < EVENTS)
        s->event[s->count++] = event;
}

/* The oracle: termios(3), PARMRK, read with all bytes at hand. */
static void read_whole(struct story_s *s, const uint8_t *p, size_t size)
{
    size_t i = 0;

    while (i < size) {
        if (p[i] != 0xff) {
            note(s, p[i++]);
        } else if (i + 1 == size) {
            return;
        } else if (p[i + 1] == 0xff) {
            note(s, 0xff);
            i += 2;
        } else if (p[i + 1] != 0) {
            note(s, 0xff);
            i++;
        } else if (i + 2 == size) {
            return;
        } else {
            note(s, p[i + 2] ? ERROR : BREAK);
            i += 3;
        }
    }
}

/* Pieces and rooms of sizes that `script` names, over and over. */
static void read_in_pieces(struct story_s *s, const uint8_t *p, size_t size, const uint8_t *script,
                           size_t script_size)
{
    struct tty_marks_s marks = {0};
    uint8_t out[16];
    size_t turn = 0;

    while (size) {
        size_t piece = script_size ? script[turn++ % script_size] % 7 + 1 : 1;

        piece = piece < size ? piece : size;
        for (size_t used = 0; used < piece;) {
            size_t room = script_size ? script[turn++ % script_size] % 5 : 1;
            struct tty_marks_result_s r;

            memset(out, 0xa5, sizeof out);
            r = tty_marks_decode(&marks, p + used, piece - used, out, room);
            if (r.made > room || r.used > piece - used || out[room] != 0xa5)
                abort();
            if (r.used == 0 && r.made == 0 && room)
                abort(); /* it would go on for ever */
            for (size_t i = 0; i < r.made; i++)
                note(s, out[i]);
            if (r.mark != TTY_MARK_NONE)
                note(s, 256 + (int)r.mark);
            used += r.used;
            if (room == 0 && r.used == 0 && script_size == 1)
                return; /* a script without any room */
        }
        p += piece;
        size -= piece;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct story_s whole, pieces;
    size_t script = size / 4, n = size - script;
    uint8_t *stream;

    if (size > EVENTS || script < 2)
        return 0;
    for (size_t i = 0; i < script; i++)
        if (data[i] % 5)
            goto some_room;
    return 0;
some_room:
    stream = malloc(n);
    if (!stream)
        return 0;
    /* Most bytes are those that marks are made of. */
    for (size_t i = 0; i < n; i++) {
        uint8_t byte = data[script + i];

        stream[i] = byte % 3 == 0 ? 0xff : byte % 3 == 1 ? (uint8_t)(byte % 4 == 0) : byte;
    }
    whole.count = pieces.count = 0;
    read_whole(&whole, stream, n);
    read_in_pieces(&pieces, stream, n, data, script);
    free(stream);
    if (whole.count != pieces.count ||
        memcmp(whole.event, pieces.event, whole.count * sizeof(*whole.event))) {
        fprintf(stderr, "the pieces tell another story than the whole\n");
        abort();
    }
    return 0;
}
