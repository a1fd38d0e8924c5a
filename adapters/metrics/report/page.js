'use strict';
(() => {
  const run = JSON.parse(document.getElementById('run').textContent);
  const $ = id => document.getElementById(id);
  const series = run.series, count = series.records.length, held = run.kind === 'replay', mapping = run.kind === 'mapping';
  /* A replay at full speed counts from its start; the others by the stream's time. */
  const began = held ? 0 : (run.beganUs ?? 0) / 1e6, step = (run.stepUs || 1000) / 1e6, ended = ((run.endedUs ?? 0) - (held ? run.beganUs ?? 0 : 0)) / 1e6;
  const span = Math.max(ended - began, step);
  const batchName = held || run.kind === 'run' ? 'batch' : 'invocation', batchesName = batchName === 'batch' ? 'batches' : 'invocations';

  const anyBatch = batchName === 'batch' ? 'a batch' : 'an invocation';

  /* ---- text ---- */
  const el = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === false || value == null) continue;
      if (name.startsWith('on')) node.addEventListener(name.slice(2), value); else node.setAttribute(name, value === true ? '' : value);
    }
    for (const child of children.flat()) if (child != null) node.append(child);
    return node;
  };
  const whole = value => value == null ? '–' : Math.round(value).toLocaleString('en-US');
  const digits = (value, most = 3) => {
    if (value === 0) return '0';
    const places = Math.min(8, Math.max(0, most - 1 - Math.floor(Math.log10(Math.abs(value)))));
    return Number(value.toFixed(places)).toLocaleString('en-US', { maximumFractionDigits: 8 });
  };
  const scaled = (value, base, units) => {
    if (value == null) return '–';
    let at = 0;
    while (Math.abs(value) >= base * 0.9995 && at < units.length - 1) { value /= base; at++; }
    return digits(value) + units[at];
  };
  const short = value => scaled(value, 1000, ['', ' k', ' M', ' G', ' T']);
  const bytes = value => scaled(value, 1000, [' B', ' kB', ' MB', ' GB', ' TB']);
  const ms = value => {
    if (value == null) return '–';
    if (value === 0) return '0';
    if (value < 0.001) return digits(value * 1e6) + ' ns';
    if (value < 1) return digits(value * 1e3) + ' µs';
    if (value < 1000) return digits(value) + ' ms';
    if (value < 120e3) return digits(value / 1e3) + ' s';
    if (value < 7200e3) return digits(value / 60e3) + ' min';
    if (value < 172800e3) return digits(value / 3600e3) + ' h';
    return digits(value / 86400e3) + ' d';
  };
  const instant = (seconds, fine) => {
    const text = new Date(seconds * 1000).toISOString();
    return text.slice(0, 10) + ' ' + text.slice(11, fine ? 23 : 19) + ' UTC';
  };
  const atTime = seconds => held ? '+' + ms(seconds * 1000) : instant(seconds, step < 0.5);
  const MONTH = 730 / 24; // days of a month of AWS's
  const money = value => value == null ? '–' : (run.cost ? run.cost.currency + ' ' : '') + (value >= 100 ? value.toLocaleString('en-US', { maximumFractionDigits: 2, minimumFractionDigits: 2 }) : digits(value, 3));

  /* ---- light and dark ---- */
  const prefersDark = matchMedia('(prefers-color-scheme: dark)');
  const themes = ['system', 'light', 'dark'];
  let theme = 'system';
  try { theme = localStorage.getItem('tumble-theme') || 'system'; } catch { /* a page from a file may have no storage */ }
  if (!themes.includes(theme)) theme = 'system';
  const redraws = [];
  const applyTheme = () => {
    document.documentElement.dataset.theme = theme === 'system' ? (prefersDark.matches ? 'dark' : 'light') : theme;
    $('theme').textContent = 'Theme: ' + theme;
    for (const redraw of redraws) redraw();
  };
  $('theme').addEventListener('click', () => {
    theme = themes[(themes.indexOf(theme) + 1) % 3];
    try { localStorage.setItem('tumble-theme', theme); } catch { /* then it is forgotten */ }
    applyTheme();
  });
  prefersDark.addEventListener('change', applyTheme);
  applyTheme();
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();

  /* ---- tables ---- */
  const table = (heads, rows, limit = 2000) => {
    const shown = rows.slice(0, limit);
    const body = el('tbody', {}, shown.map(row => el('tr', {}, row.map(cell => el('td', { class: typeof cell === 'string' && cell.length > 40 ? 'text' : null }, String(cell ?? '–'))))));
    return el('div', { class: 'scroll', tabindex: 0 }, el('table', {}, el('thead', {}, el('tr', {}, heads.map(head => el('th', { scope: 'col' }, head)))), body));
  };
  const lazyTable = (label, make) => {
    const box = el('details', {}, el('summary', {}, label));
    box.addEventListener('toggle', () => {
      if (!box.open || box.childElementCount > 1) return;
      const { heads, rows } = make();
      box.append(table(heads, rows));
      const copy = el('button', { type: 'button', style: 'margin-top:6px' }, 'Copy as CSV');
      copy.addEventListener('click', () => {
        const quote = cell => /[",\n]/.test(String(cell ?? '')) ? '"' + String(cell).replaceAll('"', '""') + '"' : String(cell ?? '');
        copyText([heads, ...rows].map(row => row.map(quote).join(',')).join('\n'), copy);
      });
      box.append(copy);
    });
    return box;
  };
  const copyText = (text, button) => {
    const before = button.textContent, done = () => { button.textContent = 'Copied'; setTimeout(() => { button.textContent = before; }, 1200); };
    const byHand = () => {
      const area = el('textarea', { style: 'position:fixed;opacity:0' });
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand('copy');
      area.remove();
      done();
    };
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, byHand); else byHand();
  };

  const byName = (a, b) => a.id === 'other' ? 1 : b.id === 'other' ? -1 : a.id.localeCompare(b.id, 'en', { numeric: true });

  /* ---- series ---- */
  const xs = Array.from({ length: count }, (_, i) => began + i * step);
  /* Neighbours together, so that there are at most `most` columns; by(slice, seconds) makes the value. */
  const group = (most, makers) => {
    const k = Math.max(1, Math.ceil(count / most)), n = Math.ceil(count / k);
    const x = Array.from({ length: n }, (_, i) => began + i * k * step);
    const seconds = i => {
      const covered = Math.min((i + 1) * k * step, span) - i * k * step;
      return covered > 0.2 * k * step ? covered : k * step;
    };
    return { x, width: k * step, columns: makers.map(([values, by]) => x.map((_, i) => by(values.slice(i * k, (i + 1) * k), seconds(i)))) };
  };
  const sum = values => values.reduce((a, b) => a + (b || 0), 0);
  const rate = (values, seconds) => sum(values) / seconds;
  const most = values => values.reduce((a, b) => b == null ? a : a == null || b > a ? b : a, null);
  /* As many as there is room for, and not so many that most are empty. */
  const columnsFor = node => Math.max(24, Math.min(240, Math.floor(node.clientWidth / 4), Math.floor(run.totals.batches / (held ? 6 : 3))));

  /* ---- charts ---- */
  const msSteps = [];
  for (let e = -6; e < 4; e++) for (const m of [1, 2, 5]) msSteps.push(m * 10 ** e);
  msSteps.push(15e3, 30e3, 60e3, 120e3, 300e3, 600e3, 900e3, 1800e3, 3600e3, 7200e3, 14400e3, 21600e3, 43200e3, 86400e3, 172800e3, 432000e3, 864000e3, 31536000e3);
  const sync = uPlot.sync('run');
  const ranges = { min: null, max: null, listeners: [] };
  const clock = (seconds, width) => {
    const text = new Date(seconds * 1000).toISOString();
    return width > 172800 ? text.slice(5, 16).replace('T', ' ') : width < 5 ? text.slice(11, 23) : text.slice(11, 19);
  };
  const tickText = (seconds, width) => held ? ms((seconds - began) * 1000) : clock(seconds, width);
  const timeSteps = [];
  for (let e = -3; e < 1; e++) for (const m of [1, 2, 5]) timeSteps.push(m * 10 ** e);
  timeSteps.push(10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000, 31536000);
  const axis = () => ({ stroke: colour('dim'), grid: { stroke: colour('grid'), width: 1 }, ticks: { stroke: colour('grid'), width: 1, size: 5 }, font: '12px system-ui', size: 30 });
  const timeAxis = () => ({ ...axis(), space: !held && span < 5 ? 104 : 84, incrs: timeSteps, values: (u, ticks) => ticks.map(tick => tickText(tick, u.scales.x.max - u.scales.x.min)) });
  const valueAxis = format => ({
    stroke: colour('dim'), grid: { stroke: colour('grid'), width: 1 }, ticks: { show: false }, font: '12px system-ui',
    values: (u, ticks) => ticks.map(tick => tick == null ? '' : format(tick)),
    size: (u, values) => { u.ctx.font = '12px system-ui'; return 14 + (values || ['0']).reduce((a, v) => Math.max(a, u.ctx.measureText(v).width / devicePixelRatio * (devicePixelRatio >= 1 ? devicePixelRatio : 1)), 18); },
  });
  const card = (parent, title, note, options = {}) => {
    const plot = el('div', { class: 'plot', role: 'img', 'aria-label': title }), top = el('div', { class: 'top' }, el('h3', {}, title));
    const node = el('section', { class: 'card' + (options.wide ? ' wide' : '') }, top, note ? el('p', {}, note) : null, plot);
    parent.append(node);
    return { node, plot, top };
  };
  const empty = (box, text) => { box.plot.replaceWith(el('div', { class: 'empty' }, text)); };

  /* build(plot): {x, columns, series: [{label, colour, format, …}], format, scale, x axis…} */
  const chart = (box, build, options = {}) => {
    let plot = null;
    const draw = () => {
      if (plot) { if (!options.own) sync.unsub(plot); plot.destroy(); plot = null; }
      const made = build(box.plot);
      const height = innerWidth < 820 ? 200 : 230;
      const uSeries = [{ label: options.own ? options.own.label : 'at', value: (u, v) => v == null ? '' : options.own ? options.own.name(v) : atTime(v) }];
      for (const s of made.series) {
        uSeries.push({
          label: s.label, stroke: colour(s.colour), width: s.width ?? 1.6, dash: s.dash, fill: s.fill ? colour(s.fill) : undefined, spanGaps: s.gaps !== false,
          paths: s.bars ? uPlot.paths.bars({ size: [0.86, 60], align: s.align ?? 1 }) : s.stepped ? uPlot.paths.stepped({ align: 1 }) : undefined,
          points: { show: s.bars ? false : (u, i) => u.data[i].filter(v => v != null).length < 60, size: 4 },
          value: (u, v, si, i) => i == null || (s.raw ? s.raw[i] : v) == null ? '' : (s.format || made.format)(s.raw ? s.raw[i] : v),
        });
      }
      const y = made.log ? { distr: 3, log: 10, range: (u, lo, hi) => [10 ** Math.floor(Math.log10(lo > 0 ? lo : 0.001)), 10 ** Math.ceil(Math.log10(hi > 0 ? hi * 1.0001 : 1))] }
        : { range: (u, lo, hi) => [0, made.top ? made.top(hi) : (hi > 0 ? hi * 1.08 : 1)] };
      plot = new uPlot({
        width: Math.max(240, box.plot.clientWidth), height, 
        scales: { x: { time: false, range: options.own ? options.own.range : (u, lo, hi) => [lo ?? began, hi ?? began + span] }, y },
        axes: [options.own ? { ...axis(), ...options.own.axis } : timeAxis(), { ...valueAxis(made.axis || made.format), ...(made.steps ? { incrs: made.steps } : {}) }],
        series: uSeries, legend: { live: true },
        cursor: { points: { size: 6 }, drag: options.own ? { x: false, y: false } : { x: true, y: false }, ...(options.own ? {} : { sync: { key: 'run', scales: ['x', null] } }) },
        hooks: { setCursor: [u => u.root.classList.toggle('live', u.cursor.idx != null)], setScale: [(u, key) => {
          if (options.own || key !== 'x') return;
          const { min, max } = u.scales.x;
          if (min === ranges.min && max === ranges.max) return;
          ranges.min = min; ranges.max = max;
          for (const listen of ranges.listeners) listen();
        }], draw: made.draw ? [made.draw] : [] },
      }, [made.x, ...made.columns], box.plot);
      box.plot.querySelectorAll('.u-legend th,.u-legend td').forEach(cell => cell.removeAttribute('scope'));
    };
    draw();
    redraws.push(draw);
    let width = box.plot.clientWidth;
    new ResizeObserver(() => {
      if (box.plot.clientWidth && Math.abs(box.plot.clientWidth - width) > 4) { width = box.plot.clientWidth; draw(); }
    }).observe(box.plot);
    return draw;
  };
  const chooser = (box, labels, choose) => {
    const buttons = labels.map((label, i) => el('button', { type: 'button', 'aria-pressed': i === 0 ? 'true' : 'false', onclick: () => {
      buttons.forEach((b, k) => b.setAttribute('aria-pressed', k === i ? 'true' : 'false'));
      choose(i);
    } }, label));
    box.top.append(el('span', { class: 'seg' }, buttons));
  };
  const timeTable = (heads, columns) => () => ({
    heads: [held ? 'since the start, s' : 'time (UTC)', ...heads],
    rows: xs.map((x, i) => [held ? digits(x - began, 6) : new Date(x * 1000).toISOString(), ...columns.map(column => column[i])]).filter(row => row.slice(1).some(v => v != null && v !== 0)),
  });

  /* ---- the head ---- */
  const totals = run.totals, took = run.took, figures = run.summary || {}, input = run.source || '';
  const what = { replay: 'Replay of ', mapping: 'Replay through a mapping of ', run: 'Live run on ' }[run.kind] + input;
  document.title = what + ' – tumble';
  $('title').append(what + ' ');
  const good = run.result === 'OK' && !run.stopped;
  $('title').append(el('span', { class: 'badge ' + (good ? 'good' : run.stopped ? 'warn' : 'bad') }, good ? 'complete' : run.stopped ? 'stopped' : 'failed: ' + run.resultText));
  if (!good && !run.stopped) {
    $('failure').hidden = false;
    $('failure').append(el('b', {}, 'The run failed (exit code ' + run.exitCode + ', ' + run.result + '): '), run.error || run.resultText, el('span', { class: 'dim' }, ' The figures below go as far as it came.'));
  }
  $('version').textContent = run.tumble;
  $('foot').textContent = run.tumble + ' at ' + run.written;
  $('subtitle').textContent = [
    run.beganUs == null ? 'nothing ran' : held ? ms(run.seconds * 1000) + ' on this machine' : instant(began) + ' to ' + instant(ended) + ' (' + ms(span * 1000) + (mapping ? ' of virtual time, emulated in ' + ms(run.seconds * 1000) + ')' : ')'),
    run.windowSeconds ? 'windows of ' + ms(run.windowSeconds * 1000) : null, run.machine && run.machine.cpu, run.machine && run.machine.cores ? run.machine.cores + (run.machine.cores === 1 ? ' core' : ' cores') : null,
  ].filter(Boolean).join(' · ');
  const shell = word => /^[\w@%+=:,./-]+$/.test(word) ? word : "'" + word.replaceAll("'", "'\\''") + "'";
  const command = run.command.map(shell).join(' ');
  $('command').textContent = command;
  $('copy').addEventListener('click', () => copyText(command, $('copy')));

  /* ---- key figures ---- */
  const tile = (label, value, note, name, raw, warn) => $('key').append(el('div', { class: 'tile' + (warn ? ' warn' : ''), 'data-figure': name, 'data-value': raw }, el('span', {}, label), el('b', { title: String(raw ?? '') }, value), el('span', {}, note || '\u00a0')));
  const seconds = held ? run.seconds : run.flowUs > 0 ? run.flowUs / 1e6 : span; // without the quiet before and behind
  if (!held && totals.iteratorAges) tile('Iterator age, most', ms(totals.iteratorAgeMostMs), 'mean ' + ms(totals.iteratorAgeMeanMs), 'IteratorAge', totals.iteratorAgeMostMs);
  tile('Records', short(totals.readRecords), whole(totals.readRecords) + ' read', 'records_read', totals.readRecords);
  tile('Throughput', short(totals.readRecords / seconds) + '/s', bytes(totals.readBytes / seconds) + '/s' + (held ? '' : ' while records came'), 'records_per_second', totals.readRecords / seconds);
  tile(batchesName[0].toUpperCase() + batchesName.slice(1), short(totals.batches), totals.batches ? digits(totals.records / totals.batches) + ' records each' : '', mapping ? 'Invocations' : 'batches', totals.batches);
  if (took.invocation.count) tile(batchName === 'batch' ? 'A batch takes' : 'Duration', ms(took.invocation.p50), 'median; 99 %: ' + ms(took.invocation.p99), 'duration_p50_ms', took.invocation.p50);
  if (!held) tile('Errors', short(totals.errors), whole(totals.throttles) + ' throttles, ' + whole(totals.retries) + ' retries', 'Errors', totals.errors, totals.errors > 0);
  const closed = mapping ? figures.windows_closed ?? totals.windowsClosed : figures.windows_closed ?? totals.windowsClosed;
  tile('Windows closed', short(closed), run.rows == null ? (totals.fragmentsEarly ? whole(totals.fragmentsEarly) + ' ended early' : '') : whole(run.rows) + ' rows', 'windows_closed', closed);
  if (run.fates) {
    const lost = run.fates.late + run.fates.bad;
    tile('Late or bad', short(lost), whole(run.fates.late) + ' late, ' + whole(run.fates.bad) + ' bad', 'late_or_bad', lost, lost > 0);
  }
  if (run.cost) tile('Price of a day', money(run.cost.totalDay), run.cost.totalDay == null ? 'records came for too short a time' : money(run.cost.totalDay * MONTH) + ' a month', 'cost_per_day', run.cost.totalDay);
  if (figures.peak_rss_bytes) tile('Most memory', bytes(figures.peak_rss_bytes), 'of the process', 'peak_rss_bytes', figures.peak_rss_bytes);

  const tileCount = $('key').childElementCount;
  $('key').style.setProperty('--columns', Math.ceil(tileCount / Math.ceil(tileCount / 6)));

  /* ---- over time ---- */
  const timeCharts = $('time-charts'), lineColours = ['c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7', 'c8'];
  if (!held) {
    const box = card(timeCharts, 'Iterator age', 'How old the last record of a batch was when it was sent. Flat is keeping up; a rising line is a consumer that falls behind.');
    if (totals.iteratorAges === 0) empty(box, 'No batch carried records.');
    else {
      let by = 0;
      const draw = chart(box, () => by === 0 ? { x: xs, columns: [series.ageMostMs, series.ageMeanMs], format: ms, steps: msSteps,
        series: [{ label: 'most', colour: 'c1', fill: 'band' }, { label: 'mean', colour: 'c2', dash: [5, 3] }] }
        : { x: xs, columns: run.shardAges.map(s => s.mostMs), format: ms, steps: msSteps, series: run.shardAges.map((s, i) => ({ label: s.shard.replace(/^shardId-0+(?=\d)/, 'shard '), colour: lineColours[i], width: 1.3 })) });
      if (run.shardAges.length > 1) chooser(box, ['All shards', run.shards.length > run.shardAges.length ? 'The ' + run.shardAges.length + ' oldest' : 'By shard'], i => { by = i; draw(); });
      box.node.append(lazyTable('Table', timeTable(['most, ms', 'mean, ms'], [series.ageMostMs, series.ageMeanMs])));
    }
  } else {
    const box = card(timeCharts, 'Position in the records’ time', 'The latest arrival time applied so far. Steep is fast; a flat stretch is one where the run waited. (A replay at full speed has no iterator age.)');
    const arrivals = series.arrivalMs.map(v => v == null ? null : v / 1000), first = arrivals.find(v => v != null);
    if (first == null) empty(box, 'No record was applied.');
    else {
      chart(box, () => ({ x: xs, columns: [arrivals.map(v => v == null ? null : Math.max(0, (v - first) * 1000))], format: ms, steps: msSteps, series: [{ label: 'since the first', colour: 'c1', fill: 'band', raw: arrivals, format: v => instant(v) }] }));
      box.node.append(lazyTable('Table', timeTable(['latest arrival (UTC)'], [series.arrivalMs.map(v => v == null ? null : new Date(v).toISOString())])));
    }
  }
  {
    const box = card(timeCharts, 'Throughput', held ? 'Records read and applied, a second of the machine’s time.' : 'Records sent in ' + batchesName + ', those of retries too.');
    if (totals.records === 0) empty(box, 'No record was sent.');
    else {
      let by = 0;
      const draw = chart(box, plot => {
        const made = group(columnsFor(plot), [[by ? series.bytes : series.records, rate]]);
        return { x: made.x, columns: made.columns, format: v => (by ? bytes(v) : short(v)) + '/s', series: [{ label: by ? 'bytes' : 'records', colour: 'c3', fill: 'c3', bars: true, width: 0 }] };
      });
      chooser(box, ['records', 'bytes'], i => { by = i; draw(); });
      box.node.append(lazyTable('Table', timeTable(['records', 'bytes', 'read', 'bytes read'], [series.records, series.bytes, series.readRecords, series.readBytes])));
    }
  }
  {
    const box = card(timeCharts, 'Batch size over time', 'Records of ' + anyBatch + ', on average. At the limit, the stream brings more than batches take; far below it, batches are cut by time or by windows.');
    if (totals.records === 0) empty(box, 'No record was sent.');
    else chart(box, plot => {
      const made = group(columnsFor(plot), [[series.records, sum], [series.batches, sum]]);
      return { x: made.x, columns: [made.x.map((_, i) => made.columns[1][i] ? made.columns[0][i] / made.columns[1][i] : null)], format: v => short(v), series: [{ label: 'records', colour: 'c4', stepped: true, gaps: false }] };
    });
    if (totals.records) box.node.append(lazyTable('Table', timeTable([batchesName, 'records'], [series.batches, series.records])));
  }
  {
    const box = card(timeCharts, 'Errors, throttles and retries', 'What failed, and what was tried again, ' + (held ? 'a batch each.' : 'an attempt each.'));
    if (totals.errors + totals.throttles + totals.retries === 0) empty(box, 'None: no error, no throttle, no retry.');
    else {
      chart(box, plot => {
        const made = group(columnsFor(plot), [[series.errors, sum], [series.throttles, sum], [series.retries, sum]]), [e, t, r] = made.columns;
        return { x: made.x, columns: [e.map((v, i) => v + t[i] + r[i]), e.map((v, i) => v + t[i]), e], format: v => whole(v), axis: v => Number.isInteger(v) ? short(v) : '', series: [
          { label: 'retries', colour: 'c7', fill: 'c7', bars: true, width: 0, raw: r }, { label: 'throttles', colour: 'c5', fill: 'c5', bars: true, width: 0, raw: t }, { label: 'errors', colour: 'c2', fill: 'c2', bars: true, width: 0, raw: e }] };
      });
      box.node.append(lazyTable('Table', timeTable(['errors', 'throttles', 'retries'], [series.errors, series.throttles, series.retries])));
    }
  }

  /* ---- invocations ---- */
  $('work-title').textContent = batchesName[0].toUpperCase() + batchesName.slice(1);
  const workCharts = $('work-charts');
  const marks = (values, format) => u => {
    const { ctx } = u, { left, top, width, height } = u.bbox, d = devicePixelRatio;
    ctx.save();
    ctx.font = (11 * d) + 'px system-ui';
    ctx.textAlign = 'left';
    ctx.textBaseline = 'alphabetic';
    ctx.strokeStyle = ctx.fillStyle = colour('ink');
    ctx.setLineDash([3 * d, 3 * d]);
    values.forEach(([name, position], i) => {
      const x = u.valToPos(position, 'x', true);
      if (x < left || x > left + width) return;
      ctx.beginPath(); ctx.moveTo(x, top); ctx.lineTo(x, top + height); ctx.stroke();
      const w = ctx.measureText(name).width, at = x + w + 6 * d < left + width ? x + 4 * d : x - w - 4 * d, y = top + (11 + 15 * i) * d;
      ctx.fillStyle = colour('card');
      ctx.fillRect(at - 2 * d, y - 10 * d, w + 4 * d, 13 * d);
      ctx.fillStyle = colour('ink');
      ctx.fillText(name, at, y);
    });
    ctx.restore();
  };
  const quantileTable = rows => ({ heads: ['', 'count', 'median', '90 %', '99 %', '99.9 %', 'most', 'mean'], rows });
  /* Buckets an eighth of an octave wide: position is the logarithm. */
  const logBins = bins => {
    const out = new Map();
    for (const [upper, n] of bins) { const at = Math.floor(Math.log2(Math.max(upper, 1e-3)) * 8); out.set(at, (out.get(at) || 0) + n); }
    const keys = [...out.keys()], lo = Math.min(...keys) - 2, hi = Math.max(...keys) + 2, x = [], y = [];
    for (let k = lo; k <= hi; k++) { x.push(k); y.push(out.get(k) || 0); }
    return { x, y, lo, hi };
  };
  /* Where 1, 10, 100 … stand between two positions; 2 and 5 too, where that leaves too few. */
  const decades = (lo, hi) => {
    const out = [], few = (hi - lo) / 8 < 12;
    for (let e = -3; e < 9; e++) for (const m of few ? [1, 2, 5] : [1]) { const at = Math.log2(m * 10 ** e) * 8; if (at >= lo && at <= hi + 1) out.push(at); }
    return out;
  };
  {
    const all = took.invocation, box = card(workCharts, 'How long ' + batchesName + ' take', mapping ? 'Every attempt at the function, by its duration.' : 'The engine’s time for a batch.');
    if (!all.count) empty(box, 'None ran.');
    else {
      const bins = logBins(all.bins), value = k => 2 ** ((k + 0.5) / 8);
      const spots = [['median ' + ms(all.p50), all.p50], ['99 % ' + ms(all.p99), all.p99], ['most ' + ms(all.most), all.most]].map(([n, v]) => [n, Math.log2(Math.max(v, 1e-3)) * 8]);
      chart(box, () => ({ x: bins.x, columns: [bins.y], format: v => whole(v), axis: v => Number.isInteger(v) ? short(v) : '', draw: marks(spots), series: [{ label: batchesName, colour: 'c1', fill: 'c1', bars: true, width: 0 }] }), {
        own: { label: 'about', name: k => ms(value(k)), range: () => [bins.lo, bins.hi + 1], axis: { splits: () => decades(bins.lo, bins.hi), values: (u, ticks) => ticks.map(k => ms(2 ** (k / 8))), space: 10 } } });
      const line = (name, t) => [name, whole(t.count), ms(t.p50), ms(t.p90), ms(t.p99), ms(t.p999), ms(t.most), ms(t.sum / t.count)];
      box.node.append(lazyTable('Table', () => quantileTable([[batchesName, all], ['commits', took.commit], ['deliveries', took.delivery], ['GetRecords', took.getRecords]].filter(([, t]) => t.count).map(([n, t]) => line(n, t)))));
    }
  }
  {
    const box = card(workCharts, 'Latency over time', 'Median and 99th percentile of the attempts that began in each step; logarithmic.');
    const p50 = series.p50Us.map(v => v == null ? null : v / 1000), p99 = series.p99Us.map(v => v == null ? null : v / 1000);
    if (!took.invocation.count) empty(box, 'None ran.');
    else {
      chart(box, () => ({ x: xs, columns: [p99, p50], format: ms, log: true, series: [{ label: '99 %', colour: 'c2' }, { label: 'median', colour: 'c1' }] }));
      box.node.append(lazyTable('Table', timeTable(['median, ms', '99 %, ms'], [p50, p99])));
    }
  }
  {
    const all = run.batchRecords, box = card(workCharts, 'Batch sizes', 'How many records ' + batchesName + ' carried' + (mapping ? '; 0 is a window’s final without records.' : '.'), { wide: !took.commit.count });
    if (!all.count) empty(box, 'None ran.');
    else {
      const width = [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000].find(w => all.most / w <= 40) || Math.ceil(all.most / 40), n = Math.floor(all.most / width) + 1, y = new Array(n).fill(0);
      for (const [upper, c] of all.bins) y[Math.min(n - 1, Math.floor(Math.min(upper, all.most) / width))] += c;
      chart(box, () => ({ x: y.map((_, i) => i), columns: [y], format: v => whole(v), axis: v => Number.isInteger(v) ? short(v) : '', draw: marks([['mean ' + digits(all.sum / all.count), all.sum / all.count / width]]), series: [{ label: batchesName, colour: 'c4', fill: 'c4', bars: true, width: 0 }] }), {
        own: { label: 'records', name: i => width === 1 ? whole(i) : whole(i * width) + ' to ' + whole((i + 1) * width - 1), range: () => [-0.2, n + 0.2], axis: { values: (u, ticks) => ticks.map(i => Number.isInteger(i * width) ? short(i * width) : ''), space: 50 } } });
      box.node.append(lazyTable('Table', () => ({ heads: ['records', batchesName], rows: y.map((c, i) => [width === 1 ? String(i) : i * width + ' to ' + ((i + 1) * width - 1), c]).filter(r => r[1]) })));
    }
  }
  if (took.commit.count) {
    const box = card(workCharts, 'Commits and deliveries', 'The longest commit and the longest offer to outputs in each step; logarithmic. What waits for outputs shows in the table.');
    const commit = series.commitMostNs.map(v => v ? v / 1e6 : null), delivery = series.deliveryMostNs.map(v => v ? v / 1e6 : null);
    chart(box, () => ({ x: xs, columns: [commit, delivery], format: ms, log: true, series: [{ label: 'commit', colour: 'c3' }, { label: 'delivery', colour: 'c5' }] }));
    box.node.append(lazyTable('Table', timeTable(['longest commit, ms', 'longest delivery, ms', 'waiting for outputs, bytes', 'tables, bytes', 'open windows'], [commit, delivery, series.waitingBytes, series.memoryBytes, series.openWindows])));
  }

  /* ---- windows ---- */
  const windowCharts = $('window-charts'), timeline = run.timeline;
  const fragments = timeline.rows.map(r => ({ shard: r[0], lane: r[1], ordinal: r[2], start: r[3], opened: r[4] / 1e6 + began, closed: r[5] == null ? null : r[5] / 1e6 + began, records: r[6], batches: r[7], errors: r[8], groups: r[9], state: r[10], early: !!(r[11] & 1), lost: !!(r[11] & 2) }));
  const kindOf = f => f.lost ? 'given up' : f.closed == null ? 'still open' : f.early ? 'ended early' : f.ordinal > 1 ? 'a further fragment' : 'whole';
  const kindColour = { whole: 'c1', 'a further fragment': 'c5', 'ended early': 'c2', 'given up': 'ink', 'still open': 'c7' };
  {
    const notes = [timeline.every > 1 ? '1 of ' + timeline.every + ' windows is drawn, of every shard' : null, timeline.leftOut ? 'only the first ' + timeline.shardLimit + ' shards with records are drawn' : null].filter(Boolean).join('; ');
    const box = card(windowCharts, 'Windows and fragments', 'From the first batch of a window to its end, a row for each shard. A window that opens again (late records, early ends, resharding) leaves several fragments, whose rows merge exactly.' + (notes ? ' (' + notes + '.)' : ''), { wide: true });
    if (!fragments.length) empty(box, 'No window was opened.');
    else drawTimeline(box);
  }
  function drawTimeline(box) {
    const canvas = el('canvas', { tabindex: 0, role: 'img', 'aria-label': 'Timeline of windows' }), holder = el('div', { id: 'lanes' }, canvas);
    box.plot.replaceWith(holder);
    const rows = new Map();
    for (const f of fragments) {
      const key = f.shard * 16 + f.lane;
      if (!rows.has(key)) rows.set(key, { shard: f.shard, lane: f.lane, ends: [], list: [] });
      const row = rows.get(key), end = f.closed ?? ended;
      let at = row.ends.findIndex(e => e <= f.opened + 1e-9);
      if (at < 0) at = row.ends.length < 3 ? row.ends.length : row.ends.indexOf(Math.min(...row.ends));
      row.ends[at] = end;
      f.sub = at;
      row.list.push(f);
    }
    const sorted = [...rows.values()].sort((a, b) => byName(run.shards[a.shard], run.shards[b.shard]) || a.lane - b.lane), lanes = sorted.some(r => r.lane > 0);
    const label = r => (run.shards[r.shard] ? run.shards[r.shard].id.replace(/^shardId-0+(?=\d)/, 'shard ') : 'shard') + (lanes ? ' / ' + (r.lane + 1) : '');
    const kinds = [...new Set(fragments.map(kindOf))];
    box.node.append(el('div', { class: 'keys' }, kinds.map(k => el('span', {}, el('i', { style: 'background:var(--' + kindColour[k] + ')' }), k + ' (' + whole(fragments.filter(f => kindOf(f) === k).length) + ')'))));
    let boxes = [], left = 0;
    const draw = () => {
      const d = devicePixelRatio || 1, width = holder.clientWidth, ctx = canvas.getContext('2d');
      if (!width) return;
      ctx.font = '12px system-ui';
      left = Math.min(width * 0.3, 14 + Math.max(...sorted.map(r => ctx.measureText(label(r)).width)));
      const tall = sorted.length > 24 ? 8 : 12, rowHeight = r => 8 + tall * Math.max(1, r.ends.length), height = 30 + sorted.reduce((a, r) => a + rowHeight(r), 0);
      canvas.style.height = height + 'px';
      canvas.width = width * d; canvas.height = height * d;
      ctx.scale(d, d);
      const lo = ranges.min ?? began, hi = Math.max(ranges.max ?? began + span, lo + 1e-6), x = t => left + (t - lo) / (hi - lo) * (width - left - 6);
      ctx.font = '12px system-ui'; ctx.textBaseline = 'middle';
      boxes = [];
      let y = 4;
      const fills = Object.fromEntries(Object.entries(kindColour).map(([k, c]) => [k, colour(c)])), alt = colour('alt'), line = colour('grid'), dim = colour('dim');
      sorted.forEach((row, i) => {
        const h = rowHeight(row);
        if (i % 2) { ctx.fillStyle = colour('shade'); ctx.fillRect(0, y, width, h); }
        ctx.fillStyle = dim;
        ctx.fillText(label(row), 2, y + h / 2, left - 8);
        ctx.save();
        ctx.beginPath(); ctx.rect(left, y, width - left, h); ctx.clip();
        for (const f of row.list) {
          const a = x(f.opened), b = x(f.closed ?? ended), w = Math.max(1.5, b - a - 0.8), top = y + 4 + f.sub * tall;
          if (b < left - 2 || a > width) continue;
          const kind = kindOf(f), odd = run.windowSeconds ? Math.round(f.start / 1000 / run.windowSeconds) % 2 : 0;
          ctx.fillStyle = kind === 'whole' && odd ? alt : fills[kind];
          ctx.fillRect(a, top, w, tall - 2);
          boxes.push({ a: a - 1, b: a + w + 1, top, bottom: top + tall, f, row });
        }
        ctx.restore();
        y += h;
      });
      ctx.strokeStyle = line; ctx.fillStyle = dim; ctx.textBaseline = 'top';
      /* At round times, as the charts; of a replay they count from its beginning. */
      const zero = held ? began : 0, room = Math.max(2, Math.floor((width - left) / 130)), every = timeSteps.find(s => (hi - lo) / s <= room) ?? hi - lo;
      for (let i = Math.ceil((lo - zero) / every - 1e-6); zero + i * every <= hi + every * 1e-6; i++) {
        const t = zero + i * every, at = x(t), text = tickText(t, hi - lo), half = ctx.measureText(text).width / 2;
        ctx.beginPath(); ctx.moveTo(at, 0); ctx.lineTo(at, y + 4); ctx.stroke();
        ctx.textAlign = at - half < left ? 'left' : at + half > width ? 'right' : 'center';
        ctx.fillText(text, at, y + 8);
      }
      ctx.textAlign = 'left';
    };
    const tip = $('tip');
    canvas.addEventListener('pointermove', event => {
      const at = canvas.getBoundingClientRect(), px = event.clientX - at.left, py = event.clientY - at.top;
      const hit = boxes.findLast(b => px >= b.a && px <= b.b && py >= b.top && py <= b.bottom);
      tip.hidden = !hit;
      if (!hit) return;
      const { f, row } = hit, length = (run.windowSeconds || 0) * 1000;
      tip.textContent = [label(row) + ' · ' + kindOf(f) + (f.ordinal > 1 || f.early ? ' (fragment ' + f.ordinal + ')' : ''), 'window ' + new Date(f.start).toISOString().slice(0, 19) + 'Z' + (length ? ' + ' + ms(length) : ''),
        whole(f.records) + ' records in ' + whole(f.batches) + ' ' + batchesName + (f.errors ? ', ' + whole(f.errors) + ' failed' : ''), f.groups == null ? null : whole(f.groups) + ' groups', f.state == null ? null : bytes(f.state) + ' of state',
        'open for ' + ms(((f.closed ?? ended) - f.opened) * 1000) + ' from ' + atTime(f.opened)].filter(Boolean).join('\n');
      tip.style.left = Math.max(4, Math.min(innerWidth - 310, event.clientX + 14)) + 'px';
      tip.style.top = Math.min(innerHeight - tip.offsetHeight - 6, event.clientY + 16) + 'px';
    });
    canvas.addEventListener('pointerleave', () => { tip.hidden = true; });
    draw();
    redraws.push(draw);
    ranges.listeners.push(draw);
    new ResizeObserver(draw).observe(holder);
    box.node.append(lazyTable('Table', () => ({ heads: ['shard', 'window (UTC)', 'fragment', 'opened', 'closed', 'records', batchesName, 'failed', 'groups', 'state, bytes', 'how'],
      rows: fragments.map(f => [(run.shards[f.shard] || {}).id + (lanes ? ' / ' + (f.lane + 1) : ''), new Date(f.start).toISOString().slice(0, 19) + 'Z', f.ordinal, atTime(f.opened), f.closed == null ? null : atTime(f.closed), f.records, f.batches, f.errors, f.groups, f.state, kindOf(f)]) })));
  }
  if (run.fates) {
    const names = { applied: ['c3', 'applied'], late: ['c5', 'late'], duplicate: ['c7', 'duplicate'], filtered: ['c6', 'filtered'], bad: ['c2', 'bad'] }, all = sum(Object.values(run.fates));
    const box = card(windowCharts, 'What became of every record', 'Applied, late, duplicate, filtered or bad: nothing else can happen to one.', { wide: true });
    if (!all) empty(box, 'No record was read.');
    else box.plot.replaceWith(el('div', {}, el('div', { class: 'stack' }, Object.entries(run.fates).filter(e => e[1]).map(([k, v]) => el('i', { style: 'flex:' + v + ' 1 0;background:var(--' + names[k][0] + ')', title: k + ': ' + whole(v) }))),
      el('div', { class: 'keys' }, Object.entries(run.fates).map(([k, v]) => el('span', { 'data-figure': k, 'data-value': v }, el('i', { style: 'background:var(--' + names[k][0] + ')' }), k + ' ' + whole(v) + ' (' + digits(100 * v / all) + ' %)')))));
  }

  /* ---- cost ---- */
  if (run.cost) {
    const c = run.cost, body = el('section', { class: 'card' }), month = day => day == null ? null : day * MONTH;
    body.append(el('p', {}, 'What AWS would have charged, by the prices of ' + c.date + ' in ' + c.region + '. ' + c.note + (mapping ? ' A day is one on which records come as they did in the ' + ms(c.flowHours * 3600e3) + ' in which they came: the quiet that closes the last windows is not in it.' : '')));
    const t = el('table', {}, el('thead', {}, el('tr', {}, ['', 'used in ' + ms(c.hours * 3600e3), 'cost', 'a day', 'a month (730 h)'].map(h => el('th', { scope: 'col' }, h)))),
      el('tbody', {}, c.items.map(i => el('tr', {}, el('td', {}, i.what), el('td', {}, short(i.quantity) + ' ' + i.unit), el('td', {}, money(i.cost)), el('td', {}, money(i.day)), el('td', {}, money(month(i.day)))))),
      el('tfoot', {}, el('tr', { 'data-figure': 'cost_total', 'data-value': c.total }, el('td', {}, 'Together'), el('td', {}, ''), el('td', {}, money(c.total)), el('td', {}, money(c.totalDay)), el('td', {}, money(month(c.totalDay))))));
    body.append(el('div', { class: 'scroll' }, t));
    $('cost-body').append(body);
  } else $('cost-body').append(el('p', { class: 'card' }, held ? 'A replay at full speed has no bill. With a mapping’s options (--arrival live, --batch-size, --maximum-batching-window-in-seconds …) the same records go through an emulated event source mapping, and this shows its price.' : 'Nothing was invoked: there is nothing to pay for.'));

  /* ---- shards and outputs ---- */
  {
    const body = el('section', { class: 'card' });
    body.append(table(['shard', 'records', 'bytes', batchesName, 'errors', 'throttles', 'retries', 'windows', ...(held ? [] : ['age at the end', 'greatest age']), 'last arrival (UTC)'],
      [...run.shards].sort(byName).map(s => [s.id + (s.gone ? ' (gone)' : ''), whole(s.records), bytes(s.bytes), whole(s.batches), whole(s.errors), whole(s.throttles), whole(s.retries), whole(s.windows), ...(held ? [] : [ms(s.ageMs), ms(s.ageMostMs)]), s.arrivalMs == null ? '–' : new Date(s.arrivalMs).toISOString()])));
    if (run.outputs.length) {
      const t = table(['output', 'takes', 'waiting', 'state'], run.outputs.map(o => [o.name, o.failures ? 'failures' : 'rows', bytes(o.waitingBytes), o.held ? 'in trouble' : 'well']));
      t.style.marginTop = '10px';
      body.append(t);
    }
    $('shards-body').append(body);
  }

  /* ---- what ran ---- */
  const facts = (title, rows) => el('section', { class: 'card facts' }, el('h3', {}, title), el('table', {}, el('tbody', {}, rows.filter(r => r[1] != null && r[1] !== '').map(r => el('tr', {}, el('td', {}, r[0]), el('td', { class: 'text' }, String(r[1])))))));
  const ran = $('ran-body'), machine = run.machine || {};
  ran.append(facts('Run', [['Command', 'tumble ' + (run.command[1] || '')], ['Source', run.source], ['Function', run.function || 'the built-in engine'], ['Windows', run.windowSeconds ? ms(run.windowSeconds * 1000) : 'none'], ['tumble', run.tumble], ['Result', run.result + (run.result === 'OK' ? '' : ': ' + run.resultText) + (run.stopped ? ', stopped by a signal' : '')], ['CPU', machine.cpu], ['Cores', machine.cores], ['Memory', machine.memoryBytes == null ? null : bytes(machine.memoryBytes)], ['System', machine.system], ['Step of the charts', ms(step * 1000)]]));
  if (run.mapping) ran.append(facts('Event source mapping', run.mapping));
  if (run.spec) {
    let text = run.spec;
    try { text = JSON.stringify(JSON.parse(run.spec), null, 2); } catch { /* then as it is */ }
    ran.append(el('section', { class: 'card' }, el('h3', {}, 'Spec: what was aggregated'), el('pre', {}, text)));
  }
  const flat = (object, prefix, out) => {
    for (const [k, v] of Object.entries(object)) if (v && typeof v === 'object') flat(v, prefix + k + '.', out); else out.push([prefix + k, v]);
    return out;
  };
  const all = flat(figures, '', []);
  ran.append(el('section', { class: 'card' }, el('h3', {}, 'All figures, as --summary has them'), el('div', { class: 'scroll', tabindex: 0 }, el('table', { id: 'figures' }, el('tbody', {}, all.map(([k, v]) => el('tr', { 'data-name': k, 'data-value': JSON.stringify(v) }, el('td', {}, k), el('td', {}, v == null ? '–' : typeof v === 'number' ? v.toLocaleString('en-US', { maximumFractionDigits: 6 }) : String(v)))))))));
  document.documentElement.dataset.ready = 'yes';
})();
