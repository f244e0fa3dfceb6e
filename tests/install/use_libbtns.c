/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/* An application of the installed library, as C11 and as C++: builds without a warning, tells that there is no daemon.
 */
#include <btns.h>
#include <stdio.h>

int main(void)
{
	btns_info_t info = BTNS_INFO_INIT;
	btns_event_t event = BTNS_EVENT_INIT;
	btns_latch_options_t options = BTNS_LATCH_OPTIONS_INIT;
	btns_latch_info_t latch = BTNS_LATCH_INFO_INIT;
	btns_t *btns = NULL;
	int error = btns_open(&btns, "/nowhere/btns");

	printf("%s\n", btns_strerror(error));
	return error == BTNS_ENODAEMON && btns == NULL && info.size == sizeof(info) && event.size == sizeof(event) &&
				   options.size == sizeof(options) && options.confidentiality == 1 && options.timeout == 10000 &&
				   latch.size == sizeof(latch) && latch.state == BTNS_LATCH_CLOSED &&
				   btns_latch_listen(NULL, 0, &options, NULL) == BTNS_EINVAL
			   ? 0
			   : 1;
}
