// The tag: fills the slots of a page. docs/tag.md says what a page may expect; `make tag` builds what is served.
//
// DESIGN. Slots near the viewport are asked for in one call. What comes near while a call is on its way waits for the
// answer, so each call goes on with the page view of the one before, and many slots are few calls. What needs storage
// or repeats itself stands in slots-more.js; all that both files share is `window.slots`, where the second puts its own
// functions around `call` and `send`. Nothing here may throw: what fails is an empty slot.
(() => {
	const tag = document.currentScript;
	if (!tag || window.slots?.load) return;

	// The elements to ask for; a key (`top`, `top:2`) to the last element that had it. An element bears its key as
	// `slotKey`, which marks a unit that was met, too.
	const near = [], holders = {};
	let pageView, busy, policy;

	const fresh = (root, css) => [root, ...root.querySelectorAll(css)].filter(
		(el) => el.matches?.(css) && !el.slotKey && (el.slotKey = true));
	const emit = (el, type, detail) => el.dispatchEvent(new CustomEvent('slot:' + type, { bubbles: true, detail }));

	// One request of ours, which outlives the page. A reader who asked not to be counted says so with each.
	const reach = (path, query, method) => {
		const url = new URL(path, tag.src);
		try {
			query.internal = localStorage.slotsIgnore;
		} catch {} // storage is blocked: nothing was asked
		Object.keys(query).map((name) => query[name] && url.searchParams.set(name, query[name]));
		return fetch(url, { method, credentials: 'omit', keepalive: true, signal: AbortSignal.timeout?.(9000) });
	};

	// The size that holds at this width of the viewport: `[, width, height]`, as texts.
	const sizeOf = (el) => [...`${el.dataset.size}`.matchAll(/(\d+)x(\d+)@?(\d*)/g)].find(
		(size) => innerWidth >= size[3]) || [];

	// A view: half of the pixels, 30 % of a large box, for a second without a break, in a visible tab.
	const watch = (unit, box, detail) => {
		const part = box.offsetWidth * box.offsetHeight < 242500 ? 0.5 : 0.3;
		let inside, timer;
		const check = () => {
			clearTimeout(timer);
			if (!inside) return;
			document.addEventListener('visibilitychange', check, { once: true });
			if (!document.hidden) timer = setTimeout(end, 1000);
		};
		const end = () => {
			if (!box.isConnected) return;
			inside = eye.disconnect();
			api.send(unit.dataset.view);
			emit(unit, 'view', detail);
		};
		const eye = new IntersectionObserver((list) => {
			inside = list.pop().intersectionRatio >= part;
			check();
		}, { threshold: part });
		eye.observe(box);
	};

	// Watches the new units below a root. Those that a server rendered report their impression themselves, and what
	// stands in their frame may have loaded before we came.
	const adopt = (root, answer) => fresh(root, '[data-view]').map((unit) => {
		const box = unit.querySelector('iframe,a img') || unit;
		const begin = () => {
			box.onload = null;
			if (answer) api.send(answer.impression_url);
			watch(unit, box, answer);
		};
		if (box.naturalWidth ?? (box === unit || !answer)) begin();
		else box.onload = begin;
	});

	// A page may forbid `style` in markup, but not to a script. Texts hold no such thing: their quotes are escaped.
	const put = (el, html) => {
		const rules = { createHTML: (text) => text.replaceAll(' style="', ' data-css="') };
		policy ||= window.trustedTypes?.createPolicy('slots', rules) || rules;
		el.innerHTML = policy.createHTML(html);
		el.querySelectorAll('[data-css]').forEach((one) => one.style.cssText = one.dataset.css);
	};

	const show = (el, answer) => {
		const template = el.querySelector('template');
		try {
			if (answer.html) {
				put(el, answer.html);
				adopt(el, answer);
				return emit(el, 'filled', answer);
			}
		} catch {} // no answer, or a page that allows no policy of this name
		if (template) template.replaceWith(template.content);
		else if (answer?.collapse && el.getBoundingClientRect().y > innerHeight) el.style.display = 'none';
		emit(el, 'empty', answer);
	};

	const fill = async () => {
		if (busy || !near[0]) return;
		busy = 1;
		const els = near.splice(0);
		const ask = {
			slots: els.map((el) => el.slotKey),
			plan: !pageView && Object.keys(holders),
			pv: pageView,
			url: location.href.split(/[?#]/)[0],
			labels: [...new Set([...document.querySelectorAll('[data-labels]')].map((el) => el.dataset.labels))],
			width: els.map((el) => Math.min(el.clientWidth || innerWidth, sizeOf(el)[1] || innerWidth)),
		};
		const page = await api.call(ask).catch(() => {});
		pageView = page?.page_view || pageView;
		els.map((el) => show(el, page?.slots?.[el.slotKey]));
		busy = 0;
		fill();
	};

	const lazy = new IntersectionObserver((list) => {
		list.map((entry) => {
			const el = entry.target;
			if (entry.isIntersecting || el.dataset.lazy == 'off') near.push(el), lazy.unobserve(el);
		});
		fill();
	}, { rootMargin: '100%' });

	// Nothing is asked or counted of a page that is only made ready, nor before all of its slots are there.
	const load = (root = document) => {
		const wait = document.prerendering ? 'prerenderingchange' : document.readyState === 'loading' && 'DOMContentLoaded';
		if (wait) return document.addEventListener(wait, () => load());
		adopt(root);
		fresh(root, '[data-slot]').map((el) => {
			if (el.querySelector('[data-view]')) return;
			const name = el.dataset.slot;
			let key = name, n = 1;
			while (holders[key]?.isConnected) key = name + ':' + ++n;
			holders[el.slotKey = key] = el;
			if (!el.offsetHeight) el.style.minHeight = +sizeOf(el)[2] + 18 + 'px';
			lazy.observe(el);
		});
	};

	const api = window.slots = {
		load,
		lazy,
		call: (ask) => reach('v1/pages/' + tag.dataset.site, ask).then((answer) => answer.json()),
		send: (url) => reach(url, {}, 'POST').catch(() => {}),
	};

	if (tag.matches('[data-more],[data-watch],[data-storage]:not([data-storage=none])')) {
		import(new URL('slots-more.js', tag.src)).catch(() => {}).then(() => load());
	} else load();
})();
