/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_worker.h"
#include "btns_convert.h"
#include "btns_shunts.h"

#include <threading/condvar.h>
#include <threading/mutex.h>
#include <threading/thread.h>

/**
 * Rejections that wait for being reported, at most.
 */
#define MAX_REJECTIONS 256

/**
 * Milliseconds between two looks at who could make room, unless it is time for
 * an audit
 */
#define SHED_INTERVAL 200

/**
 * Milliseconds between two times that it is told what became of peers
 */
#define TELL_INTERVAL 50

typedef struct private_btns_worker_t private_btns_worker_t;
typedef struct queued_t queued_t;

/**
 * What the thread has to do.
 */
struct queued_t {

	/**
	 * What is reported
	 */
	btns_rejection_t rejection;

	/**
	 * What the peer showed, NULL if nothing
	 */
	btns_evidence_t *evidence;

	/**
	 * TRUE to close the IKE_SA, too
	 */
	bool close;
};

/**
 * Destroy a task, NULL is none.
 */
static void queued_destroy(queued_t *task)
{
	if (task)
	{
		btns_evidence_destroy(task->evidence);
		free(task);
	}
}

/**
 * Private data of a btns_worker_t.
 */
struct private_btns_worker_t {

	/**
	 * Public interface
	 */
	btns_worker_t public;

	/**
	 * Core
	 */
	btns_core_t *core;

	/**
	 * PAD
	 */
	btns_pad_t *pad;

	/**
	 * Who hears of rejections
	 */
	btns_rejection_cb_t cb;

	/**
	 * Passed to cb
	 */
	void *user;

	/**
	 * Who hears what became of peers
	 */
	btns_peer_event_cb_t peer_cb;

	/**
	 * Does somebody listen to it? Changed with both locks held.
	 */
	bool (*peer_listens)(void *user);

	/**
	 * Passed to both
	 */
	void *peer_user;

	/**
	 * Lock for callbacks and what is passed to them; held while one runs
	 */
	mutex_t *cb_mutex;

	/**
	 * IKE_SAs to close, queued_t*; these go first, in order
	 */
	linked_list_t *closes;

	/**
	 * What is only reported, queued_t*
	 */
	linked_list_t *reports;

	/**
	 * The IKE_SA that is being closed, owned by the thread, NULL for none
	 */
	queued_t *current;

	/**
	 * IKE_SAs that were ever queued for being closed
	 */
	uint64_t queued;

	/**
	 * IKE_SAs that were closed
	 */
	uint64_t done;

	/**
	 * An audit was asked for
	 */
	bool audit;

	/**
	 * Making room was asked for
	 */
	bool shed;

	/**
	 * Something became of peers
	 */
	bool tell;

	/**
	 * When that was told last, as btns_now()
	 */
	int64_t last_tell;

	/**
	 * When that was done last, as btns_now()
	 */
	int64_t last_shed;

	/**
	 * The thread has to end
	 */
	bool stop;

	/**
	 * Lock for the queues, current, queued, done, audit, shed, last_shed, tell,
	 * last_tell, stop.
	 * Never held across a call into charon.
	 */
	mutex_t *mutex;

	/**
	 * Signalled when an IKE_SA was closed
	 */
	condvar_t *closed;

	/**
	 * Signalled when one of these changes
	 */
	condvar_t *condvar;

	/**
	 * The thread
	 */
	thread_t *thread;
};

/**
 * Why an IKE_SA is to be closed already, BTNS_REASON_NONE if it is not.
 */
static btns_reason_t is_closing(private_btns_worker_t *this, uint32_t sa)
{
	btns_reason_t reason = BTNS_REASON_NONE;
	enumerator_t *enumerator;
	queued_t *task;

	if (this->current && this->current->rejection.peer.sa == sa)
	{
		return this->current->rejection.reason;
	}
	enumerator = this->closes->create_enumerator(this->closes);
	while (reason == BTNS_REASON_NONE &&
		   enumerator->enumerate(enumerator, &task))
	{
		if (task->rejection.peer.sa == sa)
		{
			reason = task->rejection.reason;
		}
	}
	enumerator->destroy(enumerator);
	return reason;
}

/**
 * Put a task into the queue, which adopts it.
 */
static void enqueue(private_btns_worker_t *this, queued_t *task)
{
	bool queued = FALSE;

	this->mutex->lock(this->mutex);
	if (!this->stop && task->close &&
		is_closing(this, task->rejection.peer.sa) == BTNS_REASON_NONE)
	{
		this->closes->insert_last(this->closes, task);
		this->queued++;
		queued = TRUE;
	}
	else if (!this->stop && !task->close &&
			 this->reports->get_count(this->reports) < MAX_REJECTIONS)
	{
		this->reports->insert_last(this->reports, task);
		queued = TRUE;
	}
	if (queued)
	{
		this->condvar->signal(this->condvar);
	}
	this->mutex->unlock(this->mutex);
	if (!queued)
	{
		if (!task->close)
		{
			btns_refused(this->core, task->rejection.reason,
						 time_monotonic(NULL));
		}
		queued_destroy(task);
	}
}

/**
 * Log a rejection, within the limit, count it, and report it.
 */
static void report(private_btns_worker_t *this, queued_t *task)
{
	btns_rejection_t *info = &task->rejection;
	host_t *host = btns_addr_to_host(&info->peer.remote);

	if (btns_refused(this->core, info->reason, time_monotonic(NULL)))
	{
		/* decoding and checking keys is slow, so this has the limit of the log */
		if (info->peer.key.type == BTNS_KEY_NONE && task->evidence)
		{
			btns_evidence_key(this->core, task->evidence, btns_now(),
							  &info->peer.key);
		}
		DBG1(DBG_CFG, "btns: refused %H '%s': %s (%s)", host,
			 info->peer.asserted_id, btns_reason_text(info->reason),
			 btns_reason_code(info->reason));
	}
	DESTROY_IF(host);
	this->cb_mutex->lock(this->cb_mutex);
	if (this->cb)
	{
		this->cb(this->user, info);
	}
	this->cb_mutex->unlock(this->cb_mutex);
}

/**
 * Check out an IKE_SA by its SPIs, as its initiator or responder.
 */
static ike_sa_t *checkout_as(const btns_peer_info_t *peer, bool initiator)
{
	ike_sa_id_t *id;
	ike_sa_t *ike_sa;

	id = ike_sa_id_create(IKEV2_MAJOR_VERSION, htobe64(peer->spi_i),
						  htobe64(peer->spi_r), initiator);
	ike_sa = charon->ike_sa_manager->checkout(charon->ike_sa_manager, id);
	id->destroy(id);
	return ike_sa;
}

/**
 * Check out an IKE_SA. By its SPIs, if they are known: a look-up by unique ID
 * waits for all the IKE_SAs that other threads have in their hands, and one of
 * these threads may wait for us.
 */
static ike_sa_t *checkout(const btns_peer_info_t *peer)
{
	ike_sa_t *ike_sa;

	if (!peer->spi_r)
	{
		return charon->ike_sa_manager->checkout_by_id(charon->ike_sa_manager,
													  peer->sa);
	}
	ike_sa = checkout_as(peer, peer->role == BTNS_ROLE_INITIATOR);
	if (!ike_sa)
	{	/* whoever rekeyed the IKE_SA last is the initiator of the new one */
		ike_sa = checkout_as(peer, peer->role != BTNS_ROLE_INITIATOR);
	}
	return ike_sa;
}

/**
 * TRUE unless a peer that was half-open has authenticated in the meantime.
 */
static bool may_close(ike_sa_t *ike_sa, btns_reason_t reason)
{
	return reason != BTNS_REASON_SHED_HALF_OPEN ||
		   (ike_sa->get_state(ike_sa) == IKE_CONNECTING &&
			!ike_sa->get_peer_cfg(ike_sa));
}

/**
 * Close an IKE_SA without waiting for the peer.
 *
 * @return			FALSE if it is gone already, or is not to be closed any more
 */
static bool close_sa(btns_peer_info_t *peer, btns_reason_t reason)
{
	ike_sa_t *ike_sa;

	ike_sa = checkout(peer);
	if (!ike_sa)
	{
		return FALSE;
	}
	if (!may_close(ike_sa, reason))
	{
		charon->ike_sa_manager->checkin(charon->ike_sa_manager, ike_sa);
		return FALSE;
	}
	if (ike_sa->delete(ike_sa, TRUE) == DESTROY_ME)
	{
		charon->ike_sa_manager->checkin_and_destroy(charon->ike_sa_manager,
													ike_sa);
	}
	else
	{
		charon->ike_sa_manager->checkin(charon->ike_sa_manager, ike_sa);
	}
	return TRUE;
}

METHOD(btns_worker_t, evict, void,
	private_btns_worker_t *this, uint32_t sa, btns_reason_t reason)
{
	queued_t *task;

	INIT(task,
		.rejection = {
			.reason = reason,
		},
		.close = TRUE,
	);
	btns_sa_info(this->core, sa, &task->rejection.peer);
	task->rejection.peer.sa = sa;
	enqueue(this, task);
}

METHOD(btns_worker_t, rekeyed, void,
	private_btns_worker_t *this, uint32_t from, uint32_t to)
{
	btns_reason_t reason;

	this->mutex->lock(this->mutex);
	reason = is_closing(this, from);
	this->mutex->unlock(this->mutex);
	if (reason != BTNS_REASON_NONE)
	{
		_evict(this, to, reason);
	}
}

METHOD(btns_worker_t, reject, void,
	private_btns_worker_t *this, ike_sa_t *ike_sa, btns_reason_t reason)
{
	uint32_t sa = ike_sa->get_unique_id(ike_sa);
	btns_peer_info_t *peer;
	peer_cfg_t *cfg;
	queued_t *task;

	INIT(task,
		.rejection = {
			.reason = reason,
		},
	);
	peer = &task->rejection.peer;
	btns_sa_info(this->core, sa, peer);
	task->evidence = btns_sa_evidence(this->core, sa);
	peer->sa = sa;
	btns_addr_from_host(ike_sa->get_other_host(ike_sa), &peer->remote);
	btns_addr_from_host(ike_sa->get_my_host(ike_sa), &peer->local);
	cfg = ike_sa->get_peer_cfg(ike_sa);
	if (cfg && !peer->connection[0])
	{
		strncpy(peer->connection, cfg->get_name(cfg),
				sizeof(peer->connection) - 1);
	}
	enqueue(this, task);
}

METHOD(btns_worker_t, audit, void,
	private_btns_worker_t *this)
{
	this->mutex->lock(this->mutex);
	this->audit = TRUE;
	this->condvar->signal(this->condvar);
	this->mutex->unlock(this->mutex);
}

METHOD(kernel_listener_t, roam, bool,
	private_btns_worker_t *this, bool address)
{
	if (address)
	{
		_audit(this);
	}
	return TRUE;
}

METHOD(btns_worker_t, shed, void,
	private_btns_worker_t *this)
{
	int64_t now = btns_now();

	this->mutex->lock(this->mutex);
	if (now - this->last_shed >= SHED_INTERVAL)
	{
		this->shed = TRUE;
		this->condvar->signal(this->condvar);
	}
	this->mutex->unlock(this->mutex);
}

METHOD(btns_worker_t, tell, void,
	private_btns_worker_t *this)
{
	this->mutex->lock(this->mutex);
	if (!this->tell && this->peer_listens && this->peer_listens(this->peer_user))
	{	/* many may come at a time: the thread is woken up for the first */
		this->tell = TRUE;
		this->condvar->signal(this->condvar);
	}
	this->mutex->unlock(this->mutex);
}

METHOD(btns_worker_t, set_peer_callback, void,
	private_btns_worker_t *this, btns_peer_event_cb_t cb,
	bool (*listens)(void*), void *user)
{
	this->cb_mutex->lock(this->cb_mutex);
	this->mutex->lock(this->mutex);
	this->peer_cb = cb;
	this->peer_listens = listens;
	this->peer_user = user;
	this->mutex->unlock(this->mutex);
	this->cb_mutex->unlock(this->cb_mutex);
}

METHOD(btns_worker_t, wait_closed, void,
	private_btns_worker_t *this, u_int ms)
{
	timeval_t until, add = {
		.tv_sec = ms / 1000,
		.tv_usec = (ms % 1000) * 1000,
	};
	uint64_t last;

	this->mutex->lock(this->mutex);
	last = this->queued;
	if (this->done < last)
	{
		time_monotonic(&until);
		timeradd(&until, &add, &until);
		while (this->done < last && !this->stop &&
			   !this->closed->timed_wait_abs(this->closed, this->mutex, until))
		{
			/* not yet */
		}
	}
	this->mutex->unlock(this->mutex);
}

METHOD(btns_worker_t, set_callback, void,
	private_btns_worker_t *this, btns_rejection_cb_t cb, void *user)
{
	this->cb_mutex->lock(this->cb_mutex);
	this->cb = cb;
	this->user = user;
	this->cb_mutex->unlock(this->cb_mutex);
}

/**
 * Callback for the core's audit.
 */
static void evict_cb(void *user, uint32_t sa, btns_reason_t reason)
{
	private_btns_worker_t *this = user;

	_evict(this, sa, reason);
}

/**
 * Callback of the core: note when a BTNS peer's CHILD_SAs were used.
 */
static void look_cb(void *user, const btns_peer_info_t *peer)
{
	private_btns_worker_t *this = user;
	enumerator_t *enumerator;
	child_sa_t *child_sa;
	ike_sa_t *ike_sa;

	ike_sa = checkout(peer);
	if (ike_sa)
	{
		enumerator = ike_sa->create_child_sa_enumerator(ike_sa);
		while (enumerator->enumerate(enumerator, &child_sa))
		{
			btns_sa_used(this->core, peer->sa, btns_last_use(child_sa));
		}
		enumerator->destroy(enumerator);
		charon->ike_sa_manager->checkin(charon->ike_sa_manager, ike_sa);
	}
}

/**
 * Close who is idle, and who has to make room.
 */
static void reap(private_btns_worker_t *this, bool audit)
{
	int64_t now = btns_now();

	if (audit)
	{
		btns_reap(this->core, now, look_cb, evict_cb, this);
	}
	btns_shed(this->core, now,
			  charon->ike_sa_manager->get_count(charon->ike_sa_manager),
			  evict_cb, this);
}

/**
 * Callback of the core: something became of a peer.
 */
static void peer_cb(void *user, btns_peer_event_t event,
					const btns_channel_info_t *info, const uint8_t *before)
{
	private_btns_worker_t *this = user;

	this->cb_mutex->lock(this->cb_mutex);
	if (this->peer_cb)
	{
		this->peer_cb(this->peer_user, event, info, before);
	}
	this->cb_mutex->unlock(this->cb_mutex);
}

/**
 * Milliseconds until there is something to do, if nothing comes; at least 0.
 */
static int64_t get_wait(private_btns_worker_t *this)
{
	if (this->stop || this->audit || this->shed ||
		this->closes->get_count(this->closes) ||
		this->reports->get_count(this->reports))
	{
		return 0;
	}
	return this->tell ? max(0, this->last_tell + TELL_INTERVAL - btns_now())
					  : BTNS_AUDIT_INTERVAL * 1000;
}

/**
 * Wait for something to do.
 *
 * @param task		next task, NULL if there is none
 * @param audit		TRUE if an audit is due
 * @param shed		TRUE if room has to be made
 * @return			FALSE to end
 */
static bool wait_for_work(private_btns_worker_t *this, queued_t **task,
						  bool *audit, bool *shed)
{
	bool timeout = FALSE, stop;
	int64_t wait;

	this->mutex->lock(this->mutex);
	while (!timeout && (wait = get_wait(this)))
	{
		timeout = this->condvar->timed_wait(this->condvar, this->mutex, wait) &&
				  !this->tell;
	}
	*audit = this->audit || timeout;
	*shed = this->shed;
	if (*shed)
	{
		this->last_shed = btns_now();
	}
	if (this->tell)
	{
		this->last_tell = btns_now();
	}
	this->audit = this->shed = this->tell = FALSE;
	*task = NULL;
	if (this->closes->remove_first(this->closes, (void**)task) == SUCCESS)
	{
		this->current = *task;
	}
	else
	{
		this->reports->remove_first(this->reports, (void**)task);
	}
	stop = this->stop && !*task;
	this->mutex->unlock(this->mutex);
	return !stop;
}

/**
 * Close the IKE_SA of a task, and wake up who waits for that.
 *
 * @return			FALSE if it was gone already
 */
static bool close_task(private_btns_worker_t *this, queued_t *task)
{
	bool closed;

	closed = close_sa(&task->rejection.peer, task->rejection.reason);

	this->mutex->lock(this->mutex);
	this->current = NULL;
	this->done++;
	this->closed->broadcast(this->closed);
	this->mutex->unlock(this->mutex);
	return closed;
}

/**
 * The thread.
 */
static void *work(private_btns_worker_t *this)
{
	time_t now, last = time_monotonic(NULL);
	queued_t *task;
	bool audit, shed;

	while (wait_for_work(this, &task, &audit, &shed))
	{
		if (task)
		{
			if (!task->close || close_task(this, task))
			{
				report(this, task);
			}
			queued_destroy(task);
		}
		btns_peer_events(this->core, peer_cb, this);
		now = time_monotonic(NULL);
		if (audit || now - last >= BTNS_AUDIT_INTERVAL)
		{
			last = now;
			this->pad->update(this->pad, TRUE);
			btns_tell_shunts(this->core);
			btns_audit(this->core, evict_cb, this);
			reap(this, TRUE);
		}
		else if (shed)
		{
			reap(this, FALSE);
		}
	}
	return NULL;
}

METHOD(btns_worker_t, destroy, void,
	private_btns_worker_t *this)
{
	this->mutex->lock(this->mutex);
	this->stop = TRUE;
	this->condvar->signal(this->condvar);
	this->closed->broadcast(this->closed);
	this->mutex->unlock(this->mutex);
	this->thread->join(this->thread);

	this->closes->destroy_function(this->closes, (void*)queued_destroy);
	this->reports->destroy_function(this->reports, (void*)queued_destroy);
	this->closed->destroy(this->closed);
	this->condvar->destroy(this->condvar);
	this->mutex->destroy(this->mutex);
	this->cb_mutex->destroy(this->cb_mutex);
	free(this);
}

/*
 * Described in header.
 */
btns_worker_t *btns_worker_create(btns_core_t *core, btns_pad_t *pad)
{
	private_btns_worker_t *this;

	INIT(this,
		.public = {
			.listener = {
				.roam = _roam,
			},
			.evict = _evict,
			.rekeyed = _rekeyed,
			.reject = _reject,
			.set_callback = _set_callback,
			.audit = _audit,
			.shed = _shed,
			.tell = _tell,
			.set_peer_callback = _set_peer_callback,
			.wait_closed = _wait_closed,
			.destroy = _destroy,
		},
		.core = core,
		.pad = pad,
		.cb_mutex = mutex_create(MUTEX_TYPE_DEFAULT),
		.closes = linked_list_create(),
		.reports = linked_list_create(),
		.mutex = mutex_create(MUTEX_TYPE_DEFAULT),
		.condvar = condvar_create(CONDVAR_TYPE_DEFAULT),
		.closed = condvar_create(CONDVAR_TYPE_DEFAULT),
	);
	this->thread = thread_create((thread_main_t)work, this);
	if (!this->thread)
	{
		this->closes->destroy(this->closes);
		this->reports->destroy(this->reports);
		this->closed->destroy(this->closed);
		this->condvar->destroy(this->condvar);
		this->mutex->destroy(this->mutex);
		this->cb_mutex->destroy(this->cb_mutex);
		free(this);
		return NULL;
	}
	return &this->public;
}
