/*
 * notify: tells the service manager how a daemon is: a datagram to NOTIFY_SOCKET.
 */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

#include <stdint.h>

/* Send "READY=1", "STATUS=..", "WATCHDOG=1".. to ${socket} (the value of NOTIFY_SOCKET; NULL: there
 * is no service manager).  Return 0 or -1: nobody listens, which is nobody's trouble. */
int notify_send(const char *socket, const char *state);
/* Half of the watchdog's time in ms from the values of WATCHDOG_USEC and WATCHDOG_PID (may be
 * NULL); 0 = none is asked of process ${pid}. */
int64_t notify_watchdog_ms(const char *usec, const char *watched, int64_t pid);

#endif
