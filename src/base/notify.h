/*
 * notify: tells the service manager how a daemon is: one datagram to NOTIFY_SOCKET, as sd_notify(3)
 * describes.  Without a manager every call does nothing.  Thread-safe.
 */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

/* "READY=1", "STOPPING=1", "STATUS=.."; RELOADING=1 gets its time added. */
void notify_state(const char *state);

/* A sign of life, if the manager asked for one (WATCHDOG_USEC) and a quarter of its time passed. */
void notify_watchdog(void);

#endif
