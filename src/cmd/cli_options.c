#include "cmd/cli_options.h"

const struct cli_option cli_options_common[] = {
	{ .name = "json", .help = "print JSON on standard output instead of text" },
	{ .name = "quiet", .letter = 'q', .help = "print errors, warnings and results only" },
	{ .name = "verbose",
		.letter = 'v',
		.is_many = true,
		.help = "log more; twice: everything" },
	{ .name = "progress",
		.help = "show progress although standard error is no terminal; with --json: status "
			"lines" },
	{ .name = "no-progress", .help = "show no progress" },
	{ .name = "help", .letter = 'h', .help = "explain the verb" },
	{ .name = NULL },
};

const struct cli_option cli_options_vault[] = {
	{ .name = "vault",
		.kind = CLI_TEXT,
		.argument = "DIR",
		.env = "HOLDFAST_VAULT",
		.help = "the vault" },
	{ .name = "writer-key",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.env = "HOLDFAST_WRITER_KEY",
		.help = "the writer key file of this host; default: writer.key of the vault in the "
			"configuration directory" },
	{ .name = "accept-rollback",
		.help = "go on with a store that is older than this host remembers, and remember "
			"it as it is now" },
	{ .name = NULL },
};

const struct cli_option cli_options_pass[] = {
	{ .name = "passphrase-file",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.env = "HOLDFAST_PASSPHRASE_FILE",
		.help = "read the passphrase from the first line of FILE; see also "
			"HOLDFAST_PASSPHRASE_COMMAND" },
	{ .name = NULL },
};

const struct cli_option cli_options_content[] = {
	{ .name = "recovery-file",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.env = "HOLDFAST_RECOVERY_FILE",
		.help = "the recovery file; default: ./holdfast-recovery-ID, then the copy "
			"in the vault" },
	{ .name = "drill-key",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.env = "HOLDFAST_DRILL_KEY",
		.help = "open snapshots with this drill key instead of a passphrase" },
	{ .name = NULL },
};

const struct cli_option cli_options_server[] = {
	{ .name = "server",
		.kind = CLI_TEXT,
		.argument = "HOST:PORT",
		.env = "HOLDFAST_SERVER",
		.help = "the controller's people port" },
	{ .name = "token-file",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.env = "HOLDFAST_TOKEN_FILE",
		.help = "the token that says who you are" },
	{ .name = "ca",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.env = "HOLDFAST_CA",
		.help = "the controller's CA certificate (keys/ca.pem)" },
	{ .name = NULL },
};
