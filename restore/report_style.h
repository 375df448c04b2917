/*
 * report_style: the one style sheet of the report page and the icons it uses.  Constant data.
 */
#ifndef RESTORE_REPORT_STYLE_H
#define RESTORE_REPORT_STYLE_H

/* The content of <style>; its SHA-256 is what the page's policy allows. */
extern const char report_style_css[];

/* <svg> with the <symbol>s i-pass, i-fail, i-gap and i-note. */
extern const char report_style_icons[];

#endif
