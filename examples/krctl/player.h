/* SPDX-License-Identifier: MIT */
/*
 * What `krctl player --control` and the demo say to each other, over a seqpacket socket that is the
 * player's standard input. One message a packet, in text:
 *
 *   player: "tty PATH"             the pseudo terminal is there
 *   demo:   "go"                   it is open
 *   demo:   "stop"                 stop after the line that is being sent
 *   player: "sent BYTES GOOD BAD"  stopped; the terminal stays until the socket is closed
 */
#ifndef KRCTL_PLAYER_H
#define KRCTL_PLAYER_H

#define PLAYER_MESSAGE_MAX 128
#define PLAYER_BAUD        38400
#define PLAYER_BAUD_MIN    50
#define PLAYER_BAUD_MAX    4000000

#endif
