/* pidfile.h - the file that holds the process number while the server runs. */
#ifndef KEVY_SERVER_PROCESS_PIDFILE_H
#define KEVY_SERVER_PROCESS_PIDFILE_H

/* Writes the file that the option names, if it names one; where it cannot, the log says so. */
void pidfile_write(void);
/* Removes it, if it was written. Any thread. */
void pidfile_remove(void);

#endif
