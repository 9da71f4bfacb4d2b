/* SPDX-License-Identifier: MIT */
#include "screen.h"

#define QUIET KROUTINE_MSEC(100) /* of silence, after which a row is shown that is not full */

static KROUTINE_EXEC(quiet)
{
    struct screen_s *screen = dev_timer_rq_from_kr(kr)->pvdata;
    struct session_s *s = screen->session;

    screen->watching = false;
    if (screen->quiet.error != 0 || s->over)
        return;
    uint64_t silence = session_now(s) - screen->put_last;
    if (silence < QUIET) {
        screen->watching = true;
        session_after(s, &screen->quiet, QUIET - silence);
        return;
    }
    view_flush(&screen->view, &s->out.next, false);
    output_flush(&s->out);
}

void screen_init(struct screen_s *screen, struct session_s *s)
{
    screen->session = s;
    dev_timer_rq_init_sched_switch(&screen->quiet, quiet);
    screen->quiet.pvdata = screen;
}

void screen_put(struct screen_s *screen, const uint8_t *data, size_t size)
{
    struct session_s *s = screen->session;

    view_put(&screen->view, &s->out.next, data, size, session_time(s));
    output_flush(&s->out);
    screen->put_last = session_now(s);
    if (screen->live && screen->view.held > 0 && !screen->watching) {
        screen->watching = true;
        session_after(s, &screen->quiet, QUIET);
    }
}

void screen_put_frame(struct screen_s *screen, const uint8_t *data, size_t size)
{
    struct session_s *s = screen->session;
    uint64_t time = session_time(s);

    view_put(&screen->view, &s->out.next, data, size, time);
    view_end_frame(&screen->view, &s->out.next, time);
    output_flush(&s->out);
}

void screen_end(struct screen_s *screen)
{
    /* A prompt starts on a line of its own; what goes into a file stays as it is. */
    bool end_line = screen->live || screen->view.mode != VIEW_RAW;

    view_flush(&screen->view, &screen->session->out.next, end_line);
    output_flush(&screen->session->out);
}
