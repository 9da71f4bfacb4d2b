/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim_line.h"

#define PIECES_MAX 1024
#define SECOND     1000000000u

/* --- set-up --- */

error_t kr_sim_channel_setup(struct kr_sim_channel_s *c, const struct kr_sim_settings_s *set,
                             struct kr_random_s random)
{
    uint32_t pieces = set->buffer < PIECES_MAX ? set->buffer : PIECES_MAX;

    if (c->fill && c->record != set->record)
        return -EINVAL;
    if (c->fill) {
        c->set = set;
        c->random = random;
        return 0;
    }
    uint8_t *data = malloc(set->buffer);
    struct kr_sim_piece_s *piece = calloc(pieces, sizeof(*piece));

    if (!data || !piece) {
        free(data);
        free(piece);
        return -ENOMEM;
    }
    free(c->data);
    free(c->piece);
    c->set = set;
    c->random = random;
    c->data = data;
    c->size = set->buffer;
    c->piece = piece;
    c->pieces = pieces;
    c->record = set->record;
    kr_sim_channel_clear(c);
    return 0;
}

void kr_sim_channel_clear(struct kr_sim_channel_s *c)
{
    c->head = c->fill = c->ready = 0;
    c->first = c->count = c->arrived = 0;
    c->busy = c->last = 0;
    c->damaged = false;
}

/* --- pieces --- */

static struct kr_sim_piece_s *piece_at(const struct kr_sim_channel_s *c, uint32_t index)
{
    return &c->piece[(c->first + index) % c->pieces];
}

void kr_sim_channel_skip(struct kr_sim_channel_s *c, uint32_t size)
{
    c->head = (c->head + size) % c->size;
    c->fill -= size;
    c->good -= size < c->good ? size : c->good;
}

static void pop_piece(struct kr_sim_channel_s *c)
{
    c->first = (c->first + 1) % c->pieces;
    c->count--;
}

/* When the next `size` bytes arrive that are sent now. */
static uint64_t arrival(struct kr_sim_channel_s *c, uint64_t now, uint32_t size)
{
    uint64_t at = c->busy > now ? c->busy : now;

    if (c->set->rate)
        at += ((uint64_t)size * SECOND + c->set->rate - 1) / c->set->rate;
    c->busy = at;
    at += c->set->latency;
    if (c->set->jitter)
        at += kr_random(&c->random) % (c->set->jitter + 1);
    if (at < c->last)
        at = c->last;
    c->last = at;
    return at;
}

/* False: no room for one more. */
static bool push_piece(struct kr_sim_channel_s *c, uint64_t at, uint32_t size)
{
    if (!c->record && c->count && piece_at(c, c->count - 1)->at == at) {
        piece_at(c, c->count - 1)->size += size;
        return true;
    }
    if (c->count == c->pieces)
        return false;
    *piece_at(c, c->count++) = (struct kr_sim_piece_s){at, size};
    return true;
}

/* A line with a limited rate that nobody asked to be cut up is cut into milliseconds, as the fifo
   of a uart would. */
static uint32_t piece_size(struct kr_sim_channel_s *c, uint32_t left)
{
    uint64_t size = left;

    if (c->record)
        return left;
    if (c->set->chunk)
        size = 1 + kr_random(&c->random) % c->set->chunk;
    else if (c->set->rate)
        size = c->set->rate / 1000 ? c->set->rate / 1000 : 1;
    return size < left ? (uint32_t)size : left;
}

/* --- the pattern --- */

/* Bytes that have come by `now` and were not read. */
static uint64_t pattern_come(const struct kr_sim_channel_s *c, uint64_t now)
{
    uint64_t ns = now - c->since, rate = c->set->rate;

    return rate ? ns / SECOND * rate + ns % SECOND * rate / SECOND - c->taken : c->size;
}

static uint64_t pattern_next(const struct kr_sim_channel_s *c)
{
    return c->since + ((c->taken + 1) * SECOND + c->set->rate - 1) / c->set->rate;
}

/* A reader that is slow holds the source up: no more than a buffer is there. */
static void pattern_settle(struct kr_sim_channel_s *c, uint64_t now)
{
    if (pattern_come(c, now) <= c->size)
        return;
    c->since = now - ((uint64_t)c->size * SECOND + c->set->rate - 1) / c->set->rate;
    c->taken = 0;
}

static void pattern_read(struct kr_sim_channel_s *c, uint8_t *data, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        data[i] = c->phase++;
    c->taken += size;
    if (c->set->rate) { /* small numbers: products stay below 2^64 */
        c->since += c->taken / c->set->rate * SECOND;
        c->taken %= c->set->rate;
    }
}

void kr_sim_channel_settle(struct kr_sim_channel_s *c, uint64_t now)
{
    if (c->stalled)
        return;
    if (c->kind == KR_SIM_SOURCE)
        pattern_settle(c, now);
    while (c->arrived < c->count && piece_at(c, c->arrived)->at <= now) {
        uint32_t size = piece_at(c, c->arrived)->size;

        if (c->record && c->kind == KR_SIM_WIRE) {
            c->arrived++;
            continue;
        }
        pop_piece(c);
        if (c->kind == KR_SIM_SINK)
            kr_sim_channel_skip(c, size);
        else
            c->ready += size;
    }
}

/* --- reading --- */

uint32_t kr_sim_channel_available(const struct kr_sim_channel_s *c, uint64_t now)
{
    if (c->kind == KR_SIM_SOURCE)
        return c->stalled ? 0 : (uint32_t)pattern_come(c, now);
    if (c->kind == KR_SIM_WIRE && c->record)
        return c->arrived ? piece_at(c, 0)->size : 0;
    return c->ready;
}

uint64_t kr_sim_channel_readable(const struct kr_sim_channel_s *c, uint64_t now)
{
    if (kr_sim_channel_available(c, now) || (c->no_writer && !c->fill))
        return now;
    if (c->stalled)
        return KR_SIM_NEVER;
    if (c->kind == KR_SIM_SOURCE)
        return pattern_next(c);
    return c->count > c->arrived ? piece_at(c, c->arrived)->at : KR_SIM_NEVER;
}

void kr_sim_channel_read(struct kr_sim_channel_s *c, uint8_t *data, uint32_t size)
{
    uint32_t part = c->size - c->head;

    if (c->kind == KR_SIM_SOURCE) {
        pattern_read(c, data, size);
        return;
    }
    if (part > size)
        part = size;
    memcpy(data, c->data + c->head, part);
    memcpy(data + part, c->data, size - part);
    kr_sim_channel_skip(c, size);
    if (!c->record)
        c->ready -= size;
}

void kr_sim_channel_drop_record(struct kr_sim_channel_s *c)
{
    pop_piece(c);
    c->arrived--;
}

void kr_sim_channel_drop_arrived(struct kr_sim_channel_s *c)
{
    if (c->ready)
        kr_sim_channel_skip(c, c->ready);
    c->ready = 0;
    while (c->arrived) {
        kr_sim_channel_skip(c, piece_at(c, 0)->size);
        kr_sim_channel_drop_record(c);
    }
}

/* Record mode keeps pieces that have arrived, before the others. */
void kr_sim_channel_drop_under_way(struct kr_sim_channel_s *c)
{
    while (c->count > c->arrived) {
        c->count--;
        c->fill -= piece_at(c, c->count)->size;
    }
    c->busy = c->last = 0;
    if (c->good > c->fill)
        c->good = c->fill;
}

/* One that nobody has met yet stands for this one too. */
void kr_sim_channel_damage(struct kr_sim_channel_s *c)
{
    if (!c->damaged)
        c->good = c->fill;
    c->damaged = true;
}

/* --- writing --- */

uint32_t kr_sim_channel_room(const struct kr_sim_channel_s *c)
{
    return c->count < c->pieces ? c->size - c->fill : 0;
}

uint64_t kr_sim_channel_writable(const struct kr_sim_channel_s *c, uint64_t now, uint32_t need)
{
    if (c->no_reader || kr_sim_channel_room(c) >= need)
        return now;
    if (c->stalled || c->count == c->arrived)
        return KR_SIM_NEVER;
    /* An arrival makes room in a sink, and in the ring of pieces of a wire. */
    return c->kind == KR_SIM_SINK || c->count == c->pieces ? piece_at(c, c->arrived)->at
                                                           : KR_SIM_NEVER;
}

static void copy_in(struct kr_sim_channel_s *c, const uint8_t *data, uint32_t size)
{
    uint32_t tail = (c->head + c->fill) % c->size;
    uint32_t part = c->size - tail;

    if (part > size)
        part = size;
    memcpy(c->data + tail, data, part);
    memcpy(c->data, data + part, size - part);
    c->fill += size;
}

uint32_t kr_sim_channel_write(struct kr_sim_channel_s *c, uint64_t now, const uint8_t *data,
                              uint32_t size)
{
    uint32_t done = 0;

    while (done < size && c->count < c->pieces) {
        uint32_t part = piece_size(c, size - done);

        if (!push_piece(c, arrival(c, now, part), part))
            break;
        copy_in(c, data + done, part);
        done += part;
    }
    return done;
}

uint64_t kr_sim_channel_drain(const struct kr_sim_channel_s *c, uint64_t now)
{
    if (c->count == c->arrived)
        return 0;
    if (c->stalled || c->last <= now)
        return KROUTINE_MSEC(1); /* nobody knows how long: ask again */
    return c->last - now;
}

/* --- lines --- */

static struct {
    pthread_mutex_t lock;
    struct kr_sim_line_s *list; /* with an open end */
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct kr_sim_line_s *line_create(struct kroutine_runtime_s *rt, const char *name,
                                         bool paired)
{
    struct kr_sim_line_s *line = calloc(1, sizeof(*line) + strlen(name) + 1);

    if (!line)
        return NULL;
    line->rt = rt;
    line->paired = paired;
    strcpy(line->name, name);
    pthread_mutex_init(&line->lock, NULL);
    line->next = registry.list;
    registry.list = line;
    return line;
}

static void line_unlist(struct kr_sim_line_s *line)
{
    struct kr_sim_line_s **link = &registry.list;

    while (*link != line)
        link = &(*link)->next;
    *link = line->next;
}

error_t kr_sim_line_join(struct kr_sim_line_s **ret, struct kroutine_runtime_s *rt,
                         const char *name, bool paired, unsigned side)
{
    struct kr_sim_line_s *line;
    error_t err = 0;

    pthread_mutex_lock(&registry.lock);
    for (line = registry.list; line; line = line->next)
        if (line->rt == rt && strcmp(line->name, name) == 0)
            break;
    if (line && (line->paired != paired || line->open & 1u << side))
        err = -EBUSY;
    else if (!line && !(line = line_create(rt, name, paired)))
        err = -ENOMEM;
    if (!err) {
        line->refs++;
        line->open |= 1u << side;
        *ret = line;
    }
    pthread_mutex_unlock(&registry.lock);
    return err;
}

void kr_sim_line_leave(struct kr_sim_line_s *line, unsigned side)
{
    pthread_mutex_lock(&registry.lock);
    line->open &= ~(1u << side);
    if (!line->open)
        line_unlist(line);
    pthread_mutex_unlock(&registry.lock);
}

void kr_sim_line_put(struct kr_sim_line_s *line)
{
    bool last;

    pthread_mutex_lock(&registry.lock);
    last = --line->refs == 0;
    pthread_mutex_unlock(&registry.lock);
    if (!last)
        return;
    for (int i = 0; i < 2; i++) {
        free(line->channel[i].data);
        free(line->channel[i].piece);
    }
    pthread_mutex_destroy(&line->lock);
    free(line);
}
