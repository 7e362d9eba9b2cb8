/* SPDX-License-Identifier: Apache-2.0 */
/* A full-screen picture in a terminal that is drawn again and again, in the terminal's second buffer: what
 * was there before comes back at the end, also after Ctrl-C. Elsewhere than on a terminal the pictures
 * follow one another as text.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* Once per process: signals end it through screen_close. */
void screen_open(void);
/* Safe without screen_open, and twice. */
void screen_close(void);

/* Shows the text, cut to the terminal's size. It may hold UTF-8 and colours (CSI sequences). */
void screen_show(const char *text);

/* Waits; true if the user pressed q or Escape. Without a terminal to read from it only waits. */
bool screen_wait(int timeout_ms);

/* The part of a line that fits `columns`: its length in bytes. Pure. */
size_t screen_fit(const char *line, size_t len, size_t columns);
