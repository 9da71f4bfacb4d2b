/* SPDX-License-Identifier: MIT */
#include "kt_bcm.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

/* --- registers --- */

#define GET(m, offset)        __atomic_load_n(&(m)->regs[(offset) / 4], __ATOMIC_ACQUIRE)
#define SET(m, offset, value) __atomic_store_n(&(m)->regs[(offset) / 4], (value), __ATOMIC_RELEASE)

static bool change(volatile uint32_t *reg, uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(reg, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* NULL: it is not a file of sim-mmio, or that of another device, which may be on its way out. */
static uint8_t *map_file(const char *link, int fd, size_t size, const struct dev_mmio_s *regs)
{
    const uint32_t mark = 0x6b740001;
    char target[64];
    ssize_t n = readlink(link, target, sizeof target - 1);
    volatile uint32_t *pages;

    if (n <= 15 || strncmp(target, "/memfd:sim-mmio", 15) != 0)
        return NULL;
    pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne((void *)pages, MAP_FAILED);
    pages[0] = mark;
    if (dev_mmio_read32_le(regs, 0) == mark) {
        pages[0] = 0;
        return (uint8_t *)pages;
    }
    munmap((void *)pages, size);
    return NULL;
}

/* The file that the device has its regions in, mapped once more. */
static uint8_t *map_again(const struct device_mmio_s *below, size_t size)
{
    char link[64];
    struct dev_mmio_s regs;
    struct dirent *entry;
    uint8_t *pages = NULL;
    DIR *dir = opendir("/proc/self/fd");

    ck_assert_ptr_nonnull(dir);
    ck_assert_int_eq(DEVICE_OP(below, map, 0, &regs), 0);
    while (!pages && (entry = readdir(dir))) {
        snprintf(link, sizeof link, "/proc/self/fd/%.20s", entry->d_name);
        pages = map_file(link, atoi(entry->d_name), size, &regs);
    }
    ck_assert_int_eq(DEVICE_OP(below, unmap, &regs), 0);
    closedir(dir);
    ck_assert_ptr_nonnull(pages);
    return pages;
}

static void open_below(struct device_mmio_s *below, const struct kt_env_s *env, const char *spec)
{
    ck_assert_msg(device_get_accessor_by_path(&below->base, kroutine_runtime_devices(env->rt), spec,
                                              DRIVER_CLASS_MMIO) == 0,
                  "%s: %s", spec, kroutine_error_text());
}

static void set_line(const struct device_mmio_s *below, bool *raised, bool on)
{
    if (*raised == on)
        return;
    *raised = on;
    if (on)
        kroutine_sim_irq_raise(&below->base, DEV_IRQ_LINE, 0);
    else
        kroutine_sim_irq_lower(&below->base, 0);
}

static void rest(unsigned us)
{
    const struct timespec pause = {.tv_nsec = us * 1000};

    nanosleep(&pause, NULL);
}

/* --- DMA: datasheet, 4.2.1 --- */

enum {
    CS = 0,
    CONBLK_AD = 4,
    TI = 8,
    SOURCE_AD = 12,
    DEST_AD = 16,
    LEN = 20,
    NEXT = 28,
    DEBUG = 32
};
enum { ACTIVE = 1, END = 2, INT = 4, PAUSED = 0x10, ERROR = 0x100 };
enum { INTEN = 1, DEST_INC = 0x10, SRC_INC = 0x100 };
#define RESET      (1u << 31)
#define CS_MARK    (1u << 15) /* reserved */
#define DEBUG_MARK (1u << 30) /* reserved */
#define LITE       (1u << 28)

static uint32_t cs_value(const struct kt_bcm_s *m)
{
    return CS_MARK | (m->active ? ACTIVE : PAUSED) | (m->is_end ? END : 0) | (m->is_int ? INT : 0) |
           (m->debug & 7 ? ERROR : 0);
}

static void publish(struct kt_bcm_s *m)
{
    SET(m, SOURCE_AD, m->source);
    SET(m, DEST_AD, m->dest);
    SET(m, LEN, m->left);
}

static void reset(struct kt_bcm_s *m)
{
    m->is_end = m->is_int = false;
    m->block = m->source = m->dest = m->left = m->length = 0;
    kt_set(&m->active, 0);
    kt_set(&m->halted, 0);
    SET(m, CONBLK_AD, 0);
    publish(m);
}

/* An access of the engine: memory, or a register of a peripheral. */
static void failed(struct kt_bcm_s *m, uint32_t errors)
{
    m->debug |= errors;
    SET(m, DEBUG, DEBUG_MARK | m->debug);
}

static uint32_t *memory(const struct kt_bcm_s *m, uint32_t bus)
{
    uint32_t offset = bus - KT_BCM_MEMORY;

    return offset < KT_BCM_POOL && offset % 4 == 0 ? (uint32_t *)(m->pool + offset) : NULL;
}

static uint32_t load(struct kt_bcm_s *m, uint32_t bus)
{
    const uint32_t *word = memory(m, bus);

    if (bus == kt_get(&m->fault))
        failed(m, kt_get(&m->errors));
    else if (word)
        return *word;
    else if (bus == KT_BCM_GPLEV0)
        return kt_get(&m->level);
    else if (bus == KT_BCM_FIFO)
        return 1000 + m->fifo++;
    else
        failed(m, 4);
    return 0;
}

static void store(struct kt_bcm_s *m, uint32_t bus, uint32_t value)
{
    uint32_t *word = memory(m, bus);

    if (bus == kt_get(&m->fault))
        failed(m, kt_get(&m->errors));
    else if (word)
        *word = value;
    else if (bus == KT_BCM_GPSET0)
        kt_set(&m->level, m->level | value);
    else if (bus == KT_BCM_GPCLR0)
        kt_set(&m->level, m->level & ~value);
    else if (bus == KT_BCM_FIFO && m->noted < sizeof m->notes / sizeof m->notes[0]) {
        m->notes[m->noted] = value;
        kt_inc(&m->noted);
    } else
        failed(m, 4);
}

/* False: there is no such block. */
static bool load_block(struct kt_bcm_s *m, uint32_t bus)
{
    const uint32_t *block = memory(m, bus);

    m->block = bus;
    SET(m, CONBLK_AD, bus);
    if (!bus)
        return false;
    if (!block || bus % 32) {
        failed(m, 4);
        return false;
    }
    kt_set(&m->ti, block[0]);
    m->source = block[1];
    m->dest = block[2];
    m->left = m->length = block[3];
    m->next = block[5];
    if (m->length > m->longest)
        kt_set(&m->longest, m->length);
    publish(m);
    return true;
}

/* What the driver has written. */
static void obey(struct kt_bcm_s *m)
{
    uint32_t cs = GET(m, CS), debug = GET(m, DEBUG);

    if (!(debug & DEBUG_MARK)) {
        m->debug &= ~(debug & 7);
        change(&m->regs[DEBUG / 4], debug, DEBUG_MARK | m->debug);
    }
    if (cs & CS_MARK)
        return;
    if (cs & RESET)
        reset(m);
    m->is_int = m->is_int && !(cs & INT);
    m->is_end = m->is_end && !(cs & END);
    if (cs & ACTIVE && !m->active && GET(m, CONBLK_AD) != m->block) {
        if (load_block(m, GET(m, CONBLK_AD)))
            kt_inc(&m->starts);
    }
    kt_set(&m->active, cs & ACTIVE && m->block);
    if (!m->is_int)
        set_line(&m->below, &m->raised, false);
    change(&m->regs[CS / 4], cs, cs_value(m)); /* else it has written again */
}

/* The state has changed by itself. */
static void tell(struct kt_bcm_s *m)
{
    uint32_t cs;

    do {
        obey(m);
        cs = GET(m, CS);
    } while (!(cs & CS_MARK) || !change(&m->regs[CS / 4], cs, cs_value(m)));
    set_line(&m->below, &m->raised, m->is_int && !kt_get(&m->silent));
}

/* What a block does to control blocks is not of the test, and has no pace. */
static bool to_blocks(uint32_t dest)
{
    return dest - KT_BCM_MEMORY < KT_BCM_BLOCKS;
}

/* Is the channel to halt there? */
static bool halts(struct kt_bcm_s *m, unsigned where)
{
    const uint32_t *block = memory(m, where == KT_BCM_BEFORE ? m->next : m->block);

    if (kt_get(&m->stay) != where || !block || !to_blocks(block[2]))
        return false;
    m->block = where == KT_BCM_BEFORE ? m->next : m->block;
    SET(m, CONBLK_AD, m->block);
    kt_set(&m->halted, 1);
    return true;
}

static void end_block(struct kt_bcm_s *m)
{
    m->is_end = true;
    m->is_int = m->is_int || m->ti & INTEN;
    kt_inc(&m->blocks);
    if (!halts(m, KT_BCM_BEFORE) && !load_block(m, m->next))
        kt_set(&m->active, 0);
    tell(m);
}

static bool may_move(struct kt_bcm_s *m)
{
    if (to_blocks(m->dest))
        return true;
    if (kt_get(&m->limit) < 4)
        return false;
    __atomic_sub_fetch(&m->limit, 4, __ATOMIC_SEQ_CST);
    return true;
}

/* Some words. False: it may not. */
static bool move(struct kt_bcm_s *m)
{
    unsigned words = 0;

    for (; m->left && words < 256 && may_move(m); words++) {
        store(m, m->dest, load(m, m->source));
        m->source += m->ti & SRC_INC ? 4 : 0;
        m->dest += m->ti & DEST_INC ? 4 : 0;
        m->left -= 4;
    }
    publish(m);
    if (!m->left && !halts(m, KT_BCM_BEHIND))
        end_block(m);
    return words;
}

static void *engine(void *arg)
{
    struct kt_bcm_s *m = arg;

    while (!kt_get(&m->end)) {
        obey(m);
        set_line(&m->below, &m->raised, m->is_int && !kt_get(&m->silent));
        if (!m->active || kt_get(&m->halted) || !move(m))
            rest(50);
    }
    return NULL;
}

void kt_bcm_start(struct kt_bcm_s *m, const struct kt_env_s *env, bool lite)
{
    memset(m, 0, sizeof *m);
    m->limit = UINT64_MAX;
    m->debug = lite ? LITE : 0;
    open_below(&m->below, env, KT_BCM_SPEC);
    m->pages = map_again(&m->below, (size_t)sysconf(_SC_PAGESIZE) + KT_BCM_POOL);
    m->regs = (volatile uint32_t *)m->pages;
    m->pool = m->pages + sysconf(_SC_PAGESIZE);
    SET(m, CS, cs_value(m));
    SET(m, DEBUG, DEBUG_MARK | m->debug);
    m->thread = kt_thread(engine, m);
}

void kt_bcm_stop(struct kt_bcm_s *m)
{
    kt_set(&m->end, 1);
    kt_join(m->thread);
    munmap(m->pages, (size_t)sysconf(_SC_PAGESIZE) + KT_BCM_POOL);
    device_put_accessor(&m->below.base);
}

/* --- the system timer: datasheet, 12.1 --- */

enum { ST_CS = 0, CLO = 4, CHI = 8, C1 = 16 };
#define ST_MARK (1u << 31) /* reserved */

static uint64_t us_now(void)
{
    return kt_now() / 1000;
}

/* The upper half first: a reader in between sees it change, unless the counter is set by hand, when
   nobody reads. */
static void count_on(struct kt_system_timer_s *m)
{
    uint64_t now = kt_get(&m->base) + (kt_get(&m->by_hand) ? 0 : us_now() - m->begin);
    uint32_t compare = GET(m, C1);

    if (now >> 32 != m->last >> 32)
        SET(m, CHI, (uint32_t)(now >> 32));
    SET(m, CLO, (uint32_t)now);
    if (compare - (uint32_t)m->last - 1 < (uint32_t)(now - m->last)) {
        m->matched = true;
        kt_inc(&m->matches);
    }
    m->last = now;
}

static void *counter(void *arg)
{
    struct kt_system_timer_s *m = arg;

    while (!kt_get(&m->end)) {
        uint32_t cs = GET(m, ST_CS);

        if (!(cs & ST_MARK)) {
            m->matched = m->matched && !(cs & 2);
            change(&m->regs[ST_CS / 4], cs, ST_MARK | (m->matched ? 2u : 0));
        }
        count_on(m);
        cs = GET(m, ST_CS);
        if (cs & ST_MARK)
            change(&m->regs[ST_CS / 4], cs, ST_MARK | (m->matched ? 2u : 0));
        set_line(&m->below, &m->raised, m->matched);
        kt_inc(&m->rounds);
        rest(20);
    }
    return NULL;
}

void kt_system_timer_start(struct kt_system_timer_s *m, const struct kt_env_s *env, uint64_t base)
{
    memset(m, 0, sizeof *m);
    open_below(&m->below, env, KT_SYSTEM_TIMER_SPEC);
    m->regs = (volatile uint32_t *)map_again(&m->below, (size_t)sysconf(_SC_PAGESIZE));
    m->base = m->last = base;
    m->begin = us_now();
    SET(m, ST_CS, ST_MARK);
    SET(m, CHI, (uint32_t)(base >> 32));
    SET(m, C1, (uint32_t)base - 1);
    m->thread = kt_thread(counter, m);
}

void kt_system_timer_set(struct kt_system_timer_s *m, uint64_t value)
{
    uint64_t rounds;

    kt_set(&m->by_hand, 1);
    kt_set(&m->base, value);
    rounds = kt_get(&m->rounds);
    while (kt_get(&m->rounds) < rounds + 2)
        rest(20);
}

void kt_system_timer_stop(struct kt_system_timer_s *m)
{
    kt_set(&m->end, 1);
    kt_join(m->thread);
    munmap((void *)m->regs, (size_t)sysconf(_SC_PAGESIZE));
    device_put_accessor(&m->below.base);
}
