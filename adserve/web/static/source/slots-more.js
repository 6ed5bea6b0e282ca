// What needs storage or repeats itself, for pages that ask for it by `data-more`, `data-watch` or `data-storage`.
//
// The first file loads this one before it asks for anything, so the first call knows what the device has kept. What is
// kept stands under `slots:SITE:` in the storage that the page named: `seen`, which campaigns this device saw (the
// service's own signed text), and `unsent`, the beacons that no server has answered yet. Without `data-storage` and
// without consent nothing of it is read or written. The wish not to be counted is the reader's own, and is kept as
// `slotsIgnore`, where the first file looks for it.
(() => {
	const api = window.slots;
	const tag = document.querySelector('script[data-site]:is([data-more],[data-watch],[data-storage])');
	if (!api?.lazy || api.refresh || !tag) return;

	const { site, storage, watch } = tag.dataset;
	const REST_MS = 30000; // between two calls for one place
	const MOST_UNSENT = 40;
	const asked = new WeakMap(); // an element to the moment when it was last asked for
	const { call, send } = api;
	const kinds = ['session', 'local'];
	let allowed = false, retried = false;

	// ---- what the device keeps

	const kept = (kind) => {
		try {
			return window[kind + 'Storage'];
		} catch {} // the browser blocks it
	};
	const home = () => allowed && kept(storage === 'session' ? 'session' : 'local');
	const read = (name) => home()?.getItem?.(`slots:${site}:${name}`) ?? '';
	const write = (name, value) => {
		try {
			home()?.setItem?.(`slots:${site}:${name}`, value);
		} catch {} // it is full
	};
	const unsent = () => read('unsent').split('\n').filter(Boolean);

	const forget = () => {
		for (const kind of kinds) for (const name of ['seen', 'unsent']) kept(kind)?.removeItem(`slots:${site}:${name}`);
	};

	// The browser's own signal goes before what a page says.
	const consent = (given) => {
		allowed = given === true && !navigator.globalPrivacyControl;
		if (!allowed) forget();
	};

	// ---- calls and beacons

	const deliver = (url) => send(url).then((answer) => {
		if (answer?.status < 500) write('unsent', unsent().filter((one) => one !== url).join('\n'));
	});

	api.send = (url) => {
		if (!allowed) return send(url);
		write('unsent', [...unsent(), url].slice(-MOST_UNSENT).join('\n'));
		return deliver(url);
	};

	api.call = async (ask) => {
		if (allowed && !retried) {
			retried = true;
			unsent().map(deliver);
		}
		if (allowed) ask.seen = read('seen') || []; // sent empty at first: a device that keeps what it is given
		const page = await call(ask);
		if (page.seen) write('seen', page.seen);
		return page;
	};

	// ---- functions of a page

	// Asks again for a place that a reader looks at: half of it in a visible tab. Says whether it did.
	const refresh = (el) => new Promise((resolve) => {
		const eye = new IntersectionObserver(([entry]) => {
			eye.disconnect();
			const now = performance.now();
			const asks = now - asked.get(el) >= REST_MS && entry.intersectionRatio >= 0.5;
			if (asks) {
				asked.set(el, now);
				api.lazy.observe(el);
			}
			resolve(asks);
		});
		if (document.hidden) resolve(false); // no frames are made in it, so the observer would wait
		else eye.observe(el);
	});

	const answered = ({ target }) => asked.set(target, performance.now());
	document.addEventListener('slot:filled', answered);
	document.addEventListener('slot:empty', answered);

	// The reader's wish not to be counted on this site, or its end; false when the browser keeps nothing.
	const ignore = (wished) => {
		try {
			if (wished) localStorage.slotsIgnore = 1;
			else localStorage.removeItem('slotsIgnore');
			return true;
		} catch {
			return false;
		}
	};

	Object.assign(api, { refresh, consent, ignore });
	if (kinds.includes(storage)) consent(true);
	if (watch !== undefined) {
		new MutationObserver(() => api.load()).observe(document, { childList: true, subtree: true });
	}
})();
