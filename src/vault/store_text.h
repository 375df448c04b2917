/*
 * store_text: the plain texts that lie on every store, so that whoever finds it knows what it is
 * and how to get the data back without us.
 */
#ifndef VAULT_STORE_TEXT_H
#define VAULT_STORE_TEXT_H

extern const char store_text_readme[];
/* docs/FORMAT.md, word for word (the build embeds it). */
extern const char store_text_format[];

#endif
