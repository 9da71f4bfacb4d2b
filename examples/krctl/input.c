/* SPDX-License-Identifier: MIT */
#include "input.h"
#include "krctl.h"

#include <errno.h>
#include <string.h>

static KROUTINE_EXEC(read_done)
{
    struct input_s *in = dev_char_rq_from_kr(kr)->pvdata;
    size_t size = (size_t)(in->rq.data - in->buffer);
    error_t err = in->rq.error;

    in->reading = false;
    if (in->session->over)
        return;
    if (err == -ENODATA && in->lines && !in->rest) {
        in->rest = true;
        input_read(in);
    } else if (err == 0 && size == 0) { /* an empty line: no frame to send */
        input_read(in);
    } else if (err == 0) {
        in->got(in, in->buffer, size);
    } else if (err == -ENODATA || err == -ENODEV) { /* the terminal behind it may go, too */
        in->ended = true;
        in->got(in, in->buffer, size);
    } else {
        session_end(in->session, krctl_fail("cannot read standard input: %s", strerror(-err)));
    }
}

int input_open(struct input_s *in, struct session_s *s)
{
    error_t err =
        device_get_accessor_by_path(&in->dev.base, kroutine_runtime_devices(s->runtime),
                                    in->lines ? "fd:0?frame=line" : "fd:0", DRIVER_CLASS_CHAR);

    if (err != 0)
        return krctl_fail("cannot read standard input: %s", krctl_error(err));
    in->session = s;
    dev_char_rq_init_sched_switch(&in->rq, read_done);
    in->rq.pvdata = in;
    return KRCTL_OK;
}

void input_read(struct input_s *in)
{
    if (in->reading || in->ended || in->session->over)
        return;
    in->reading = true;
    in->rq.type = in->lines && !in->rest ? DEV_CHAR_READ_FRAME : DEV_CHAR_READ_PARTIAL;
    in->rq.data = in->buffer;
    in->rq.size = sizeof(in->buffer);
    DEVICE_OP(&in->dev, request, &in->rq);
}
