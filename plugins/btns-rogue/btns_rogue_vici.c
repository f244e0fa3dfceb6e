/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#define _GNU_SOURCE
#include "btns_rogue_vici.h"
#include "btns_rogue_payloads.h"
#include "btns_rogue_task.h"
#include "btns_vici_plugin.h"

#include <dlfcn.h>

#include <plugins/vici/vici_builder.h>
#include <plugins/vici/vici_message.h>
#include <processing/jobs/initiate_tasks_job.h>

typedef struct private_btns_rogue_vici_t private_btns_rogue_vici_t;

/**
 * Private data of a btns_rogue_vici_t.
 */
struct private_btns_rogue_vici_t {

	/**
	 * Public interface
	 */
	btns_rogue_vici_t public;

	/**
	 * Rules
	 */
	btns_rogue_rules_t *rules;

	/**
	 * vici's dispatcher
	 */
	vici_dispatcher_t *dispatcher;

	/**
	 * vici_builder_create() in the vici plugin
	 */
	vici_builder_t *(*builder_create)();
};

/**
 * What is read from a request.
 */
typedef struct {
	btns_rogue_rule_t *rule;
	bool valid;
} request_t;

/**
 * Answer with success or an error.
 */
static vici_message_t *answer(private_btns_rogue_vici_t *this, char *error)
{
	vici_builder_t *builder;

	builder = this->builder_create();
	builder->add_kv(builder, "success", error ? "no" : "yes");
	if (error)
	{
		builder->add_kv(builder, "errmsg", "%s", error);
	}
	return builder->finalize(builder);
}

/**
 * Read a list's item that is a number.
 */
static u_int get_number(chunk_t value)
{
	char buf[16] = "";

	snprintf(buf, sizeof(buf), "%.*s", (int)value.len, value.ptr);
	return atoi(buf);
}

CALLBACK(read_list, bool,
	request_t *request, vici_message_t *message, char *name, chunk_t value)
{
	btns_rogue_rule_t *rule = request->rule;
	payload_t *payload;
	u_int number;

	if (streq(name, "add"))
	{
		payload = btns_rogue_payload_create(value);
		if (payload)
		{
			payload->destroy(payload);
			value = chunk_clone(value);
			array_insert(rule->add, ARRAY_TAIL, &value);
			return TRUE;
		}
	}
	else if (streq(name, "drop") || streq(name, "drop-notifies"))
	{
		number = get_number(value);
		array_insert(streq(name, "drop") ? rule->drop : rule->drop_notifies,
					 ARRAY_TAIL, &number);
		return TRUE;
	}
	DBG1(DBG_CFG, "btns-rogue: unusable '%s': %B", name, &value);
	request->valid = FALSE;
	return FALSE;
}

CALLBACK(read_value, bool,
	request_t *request, vici_message_t *message, char *name, chunk_t value)
{
	return TRUE;
}

CALLBACK(read_section, bool,
	request_t *request, vici_message_t *message, vici_parse_context_t *ctx,
	char *name)
{
	request->valid = FALSE;
	return FALSE;
}

/**
 * Make a rule of a request.
 *
 * @return			NULL if it makes no sense
 */
static btns_rogue_rule_t *read_request(vici_message_t *message)
{
	request_t request = {
		.rule = btns_rogue_rule_create(),
		.valid = TRUE,
	};
	btns_rogue_rule_t *rule = request.rule;

	if (!message->parse(message, NULL, read_section, read_value, read_list,
						&request) || !request.valid)
	{
		btns_rogue_rule_destroy(rule);
		return NULL;
	}
	rule->name = strdup(message->get_str(message, "", "name"));
	rule->exchange = message->get_int(message, 0, "exchange");
	rule->incoming = message->get_bool(message, FALSE, "incoming");
	rule->request = !message->get_bool(message, FALSE, "response");
	rule->skip = message->get_int(message, 0, "skip");
	rule->times = message->get_int(message, 1, "times");
	rule->copies = message->get_int(message, 0, "copies");
	rule->auth_method = message->get_int(message, 0, "auth-method");
	rule->lose = message->get_bool(message, FALSE, "lose");
	rule->raw = chunk_clone(message->get_value(message, chunk_empty, "raw"));
	return rule;
}

CALLBACK(add_rule, vici_message_t*,
	private_btns_rogue_vici_t *this, char *name, u_int id,
	vici_message_t *message)
{
	btns_rogue_rule_t *rule;

	rule = read_request(message);
	if (!rule)
	{
		return answer(this, "charon cannot parse one of the payloads");
	}
	if (!rule->name[0] || !rule->exchange ||
		rule->copies > BTNS_ROGUE_MAX_COPIES || (rule->lose && !rule->incoming))
	{
		btns_rogue_rule_destroy(rule);
		return answer(this, "the rule has no name or exchange, too many "
					  "copies, or wants to lose what is sent");
	}
	this->rules->add(this->rules, rule);
	return answer(this, NULL);
}

CALLBACK(list_rules, vici_message_t*,
	private_btns_rogue_vici_t *this, char *command, u_int id,
	vici_message_t *message)
{
	vici_builder_t *builder;
	enumerator_t *enumerator;
	char *name;
	u_int applied;

	builder = this->builder_create();
	enumerator = this->rules->create_enumerator(this->rules);
	while (enumerator->enumerate(enumerator, &name, &applied))
	{
		builder->add_kv(builder, name, "%u", applied);
	}
	enumerator->destroy(enumerator);
	return builder->finalize(builder);
}

CALLBACK(clear_rules, vici_message_t*,
	private_btns_rogue_vici_t *this, char *name, u_int id,
	vici_message_t *message)
{
	this->rules->clear(this->rules);
	return answer(this, NULL);
}

CALLBACK(send_request, vici_message_t*,
	private_btns_rogue_vici_t *this, char *name, u_int id,
	vici_message_t *message)
{
	btns_rogue_rule_t *rule;
	ike_sa_t *ike_sa;
	task_t *task;

	rule = read_request(message);
	if (!rule)
	{
		return answer(this, "charon cannot parse one of the payloads");
	}
	task = btns_rogue_task_create(rule->exchange, rule->add);
	rule->add = NULL;
	btns_rogue_rule_destroy(rule);

	ike_sa = charon->ike_sa_manager->checkout_by_id(charon->ike_sa_manager,
								message->get_int(message, 0, "uniqueid"));
	if (!ike_sa)
	{
		task->destroy(task);
		return answer(this, "there is no such IKE_SA");
	}
	ike_sa->queue_task(ike_sa, task);
	lib->processor->queue_job(lib->processor, (job_t*)
						initiate_tasks_job_create(ike_sa->get_id(ike_sa)));
	charon->ike_sa_manager->checkin(charon->ike_sa_manager, ike_sa);
	return answer(this, NULL);
}

/**
 * Register or unregister all commands.
 */
static void manage(private_btns_rogue_vici_t *this, bool reg)
{
	const struct {
		char *name;
		vici_command_cb_t cb;
	} commands[] = {
		{ "btns-rogue-rule", add_rule },
		{ "btns-rogue-rules", list_rules },
		{ "btns-rogue-clear", clear_rules },
		{ "btns-rogue-send", send_request },
	};
	int i;

	for (i = 0; i < countof(commands); i++)
	{
		this->dispatcher->manage_command(this->dispatcher, commands[i].name,
										 reg ? commands[i].cb : NULL, this);
	}
}

METHOD(btns_rogue_vici_t, destroy, void,
	private_btns_rogue_vici_t *this)
{
	manage(this, FALSE);
	free(this);
}

/*
 * Described in header.
 */
btns_rogue_vici_t *btns_rogue_vici_create(btns_rogue_rules_t *rules)
{
	private_btns_rogue_vici_t *this;
	btns_vici_plugin_t *vici;
	void *handle = NULL;
	Dl_info info;

	INIT(this,
		.public = {
			.destroy = _destroy,
		},
		.rules = rules,
	);
	vici = btns_vici_plugin_find();
	if (vici && dladdr(vici->plugin.get_name, &info))
	{
		handle = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
	}
	if (handle)
	{	/* the plugin stays as long as we do: we depend on it */
		this->builder_create = dlsym(handle, "vici_builder_create");
		dlclose(handle);
	}
	if (!this->builder_create)
	{
		free(this);
		return NULL;
	}
	this->dispatcher = vici->dispatcher;
	manage(this, TRUE);
	return &this->public;
}
