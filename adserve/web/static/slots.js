// Fills slots: one request a page
(() => {
	const doc = document, own = doc.currentScript, counts = { __proto__: null }, known = new WeakSet();
	const tag = own?.dataset.site ? own : doc.querySelector('script[data-site]');
	if (!tag || window.slots?.load) return;
	let pv;
	const fresh = (root, css) => [root, ...root.querySelectorAll(css)].filter(
		(el) => el.matches?.(css) && !known.has(el) && known.add(el));
	const emit = (el, type, detail) => el.dispatchEvent(new CustomEvent('slot:' + type, { bubbles: true, detail }));
	const beacon = (url) => navigator.sendBeacon?.(url) ||
		fetch(url, { mode: 'no-cors', keepalive: true }).catch(() => {});

	// A view: 50 % of pixels (30 % from 242,500) for 1 s, visible
	const watch = (unit, box, detail) => {
		const part = box.offsetWidth * box.offsetHeight < 242500 ? 0.5 : 0.3;
		let inside, timer;
		const check = () => {
			clearTimeout(timer);
			timer = inside && !doc.hidden && setTimeout(done, 1000);
		};
		const eye = new IntersectionObserver((list) => {
			inside = list.pop().intersectionRatio >= part;
			check();
		}, { threshold: part });
		const done = () => {
			eye.disconnect();
			inside = 0;
			beacon(unit.dataset.view);
			emit(unit, 'view', detail);
		};
		doc.addEventListener('visibilitychange', check);
		eye.observe(box);
	};

	// Server-made units report their impression: no `seen`.
	const show = (root, detail, seen) => fresh(root, '[data-view]').map((unit) => {
		const image = unit.querySelector('a img');
		const begin = () => {
			if (seen) beacon(seen);
			watch(unit, image || unit, detail);
		};
		if (!image || image.naturalWidth) begin();
		else image.onload = begin;
	});

	const load = async (root = doc) => {
		show(root);
		const els = fresh(root, '[data-slot]').filter((el) => !el.querySelector('[data-view]'));
		if (!els[0]) return;
		const names = els.map((el) => el.dataset.slot);
		const keys = names.map((name, i) => {
			const n = counts[name] = (counts[name] || 0) + 1;
			return n > 1 || names.includes(name, i + 1) ? name + ':' + n : name;
		});
		const url = new URL('v1/pages/' + tag.dataset.site, tag.src);
		const ask = {
			slots: keys, plan: keys, pv, url: location.href.split(/[?#]/)[0],
			labels: [tag, ...els].map((el) => el.dataset.labels).filter(Boolean),
			width: Math.max(...els.map((el) => el.clientWidth)),
		};
		for (const k in ask) if (ask[k]) url.searchParams.set(k, ask[k]);
		const page = await fetch(url, { credentials: 'omit' }).then((r) => r.json()).catch(() => {});
		pv = page?.page_view || pv;
		els.map((el, i) => {
			const answer = page?.slots?.[keys[i]], own = el.querySelector('template');
			if (answer?.filled) {
				el.innerHTML = answer.html;
				show(el, answer, answer.impression_url);
			} else own?.replaceWith(own.content);
			emit(el, answer?.filled ? 'filled' : 'empty', answer);
		});
	};

	window.slots = { load };
	const start = () => {
		const wait = doc.prerendering ? 'prerenderingchange' : doc.readyState === 'loading' && 'DOMContentLoaded';
		wait ? doc.addEventListener(wait, start) : load();
	};
	start();
})();
