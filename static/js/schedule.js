// The schedule: EventCalendar draws what /calendar/events answers; view, day and clinicians are kept in the page's
// address. All times are wall times of the practice, written as text: this browser's own zone must not matter.

const root = document.getElementById("schedule");
const place = document.getElementById("calendar");
const dialog = document.getElementById("dialog");

const { zone, events: eventsAddress, url: here } = root.dataset;
const american = "american" in root.dataset;
const narrow = matchMedia("(max-width: 43.74rem)");
const locale = american ? "en-US" : "en-GB";

const TYPES = {
  day: "timeGridDay",
  team: "resourceTimeGridDay",
  "work-week": "workWeek",
  week: "timeGridWeek",
  month: "dayGridMonth",
};

const ticks = [...root.querySelectorAll("[name='clinician']")];

const state = {
  view: root.dataset.view,
  date: root.dataset.date,
  get clinicians() { return ticks.filter((tick) => tick.checked).map((tick) => tick.value); },
};

let calendar;
let asked = 0;
let background = {};

// ======== Walls: "2026-11-23T09:00" and "2026-11-23", reckoned with as if they were UTC ========

const moment = (wall) => new Date(`${wall.slice(0, 10)}T${wall.slice(11, 16) || "00:00"}Z`);
const later = (wall, minutes) => new Date(moment(wall).getTime() + minutes * 60_000).toISOString().slice(0, 16);
const dayOf = (wall) => wall.slice(0, 10);
const daysLater = (day, days) => dayOf(later(day, days * 24 * 60));

function clock(wall) {
  const [hour, minute] = [Number(wall.slice(11, 13)), wall.slice(14, 16)];
  return american ? `${hour % 12 || 12}:${minute} ${hour < 12 ? "AM" : "PM"}` : `${wall.slice(11, 13)}:${minute}`;
}

const hour = (wall) => clock(wall).replace(/:00(?= )/, "");

function span(starts, ends) {
  const [first, last] = [clock(starts), clock(ends)];
  return `${first.slice(-2) === last.slice(-2) && american ? first.slice(0, -3) : first} – ${last}`;
}

const formats = new Map();

function format(day, options) {
  const key = JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(locale, { timeZone: "UTC", ...options }));
  return formats.get(key).format(moment(day));
}

const longDay = (day) => format(day, { weekday: "long", month: "long", day: "numeric" });

// "-05:00" of a zone at a moment; of the browser's own without one.
function offset(timeZone, at = new Date()) {
  const parts = new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName: "longOffset" }).formatToParts(at);
  return parts.find((part) => part.type === "timeZoneName").value.slice(3) || "+00:00";
}

function minutesAhead() {
  const noon = new Date(`${state.date}T12:00${offset(zone)}`);
  const [theirs, ours] = [offset(zone, noon), offset(undefined, noon)].map((text) => {
    const [hours, minutes] = text.slice(1).split(":").map(Number);
    return (text.startsWith("-") ? -1 : 1) * (hours * 60 + minutes);
  });
  return ours - theirs;
}

function today() {
  const parts = new Intl.DateTimeFormat("en-CA", { timeZone: zone, dateStyle: "short" });
  return parts.format(new Date());
}

// ======== What is shown ========

function firstOfWeek(day) {
  return daysLater(day, -((moment(day).getUTCDay() + 7 - (american ? 0 : 1)) % 7));
}

function title() {
  const { view, date } = state;
  const long = narrow.matches ? "short" : "long";
  if (view === "month") return format(date, { month: "long", year: "numeric" });
  if (view === "day" || view === "team") {
    return format(date, { weekday: long, month: long, day: "numeric", year: "numeric" });
  }
  const week = view === "agenda" ? date : firstOfWeek(date);
  const first = view === "work-week" && american ? daysLater(week, 1) : week;
  const days = new Intl.DateTimeFormat(locale, { timeZone: "UTC", month: long, day: "numeric", year: "numeric" });
  return days.formatRange(moment(first), moment(daysLater(first, view === "work-week" ? 4 : 6)));
}

function show(headers) {
  const agenda = state.view === "agenda";
  place.hidden = agenda;
  document.getElementById("agenda").hidden = !agenda;
  if (agenda) loadAgenda(headers);
  else draw();
  showControls();
}

function showControls() {
  document.getElementById("schedule-title").textContent = title();
  document.getElementById("schedule-date").value = state.date;
  for (const link of root.querySelectorAll("[data-look]")) {
    if (link.dataset.look === state.view) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
    if (link.dataset.look === state.view) document.getElementById("view-name").textContent = link.textContent;
  }
  const picked = ticks.filter((tick) => tick.checked);
  follow(picked.length === 1 ? picked[0] : null);
  const words = picked.length === 1 ? picked[0].labels[0].textContent.trim() : `${picked.length} clinicians`;
  const button = document.getElementById("picked");
  if (button) {
    button.textContent = picked.length ? words : "Everyone";
    document.getElementById("everyone").setAttribute("aria-pressed", String(!picked.length));
  }
  showZone();
}

function showZone() {
  const ahead = minutesAhead();
  const city = zone.split("/").pop().replaceAll("_", " ");
  const length = [Math.floor(Math.abs(ahead) / 60), Math.abs(ahead) % 60];
  const words = [["hour", length[0]], ["minute", length[1]]]
    .filter(([, number]) => number)
    .map(([unit, number]) => `${number} ${unit}${number === 1 ? "" : "s"}`).join(" ");
  const yours = ahead ? ` Your clock is ${words} ${ahead > 0 ? "ahead" : "behind"}.` : "";
  document.getElementById("schedule-zone").textContent = `${city} time.${yours}`;
}

// What the menu offers is about whom the schedule shows.
function follow(tick) {
  const sync = document.getElementById("sync-calendar");
  if (sync) sync.href = tick?.dataset.sync ?? sync.dataset.own;
  document.getElementById("export").search = tick ? `?clinician=${tick.value}` : "";
}

function query() {
  const found = new URLSearchParams({ view: state.view, date: state.date });
  for (const id of state.clinicians) found.append("clinician", id);
  return found;
}

function change(values) {
  Object.assign(state, values);
  history.replaceState(null, "", `${here}?${query()}`);
  show();
}

function step(by) {
  if (by === 0) return change({ date: today() });
  if (state.view === "month") {
    const first = moment(`${state.date.slice(0, 7)}-01`);
    first.setUTCMonth(first.getUTCMonth() + by);
    return change({ date: dayOf(first.toISOString()) });
  }
  change({ date: daysLater(state.date, by * (state.view === "day" || state.view === "team" ? 1 : 7)) });
}

function refresh(headers = {}) {
  if (state.view === "agenda") loadAgenda(headers);
  else calendar?.refetchEvents();
  background = headers;
}

// ======== The agenda, drawn by the server ========

async function loadAgenda(headers = {}) {
  const agenda = document.getElementById("agenda");
  const address = `${here}?${query()}`;
  await htmx.ajax("GET", address, { target: agenda, select: "#agenda", swap: "outerHTML", headers });
  if (state.view === "agenda") showControls();
}

// ======== The calendar ========

function draw() {
  const resources = ticks.filter((tick) => tick.checked || !state.clinicians.length).map((tick) => ({
    id: tick.value,
    title: tick.labels[0].textContent.trim(),
  }));
  const clinicians = state.clinicians.join();
  if (!calendar) {
    calendar = EventCalendar.create(place, { ...options(), resources });
    new MutationObserver(mend).observe(place, { childList: true, subtree: true });
  } else {
    if (calendar.getOption("timeZone") !== offset(zone)) calendar.setOption("timeZone", offset(zone));
    if (place.dataset.clinicians !== clinicians) {
      calendar.setOption("resources", resources);
      calendar.refetchEvents();
    }
    if (calendar.getOption("view") !== TYPES[state.view]) calendar.setOption("view", TYPES[state.view]);
    calendar.setOption("date", state.date);
  }
  place.dataset.clinicians = clinicians;
  mend();
}

function options() {
  return {
    view: TYPES[state.view],
    date: state.date,
    timeZone: offset(zone),
    locale,
    firstDay: american ? 0 : 1,
    headerToolbar: { start: "", center: "", end: "" },
    height: "100%",
    slotHeight: 28,
    snapDuration: "00:15",
    scrollTime: "08:00",
    nowIndicator: true,
    slotEventOverlap: false,
    dayMaxEvents: true,
    moreLinkContent: ({ num }) => narrow.matches ? `+${num}` : `+${num} more`,
    dayHeaderFormat: (date) => `${date.toLocaleDateString(locale, { weekday: "short" })} ${date.getDate()}`,
    views: {
      workWeek: { type: "timeGridWeek", hiddenDays: [0, 6] },
      resourceTimeGridDay: { columnWidth: "minmax(9rem, 1fr)" },
      dayGridMonth: { dayHeaderFormat: { weekday: "short" } },
    },
    allDayContent: "All day",
    editable: true,
    selectable: true,
    longPressDelay: 500,
    eventSources: [{ events: load }],
    eventContent: content,
    eventDidMount: ({ el, event }) => Object.assign(el.dataset, { event: event.id, url: event.extendedProps.url ?? "" }),
    eventMouseEnter: ({ el, event }) => { el.title = words(event); },
    eventDrop: ({ event, delta, newResource }) => move(event, delta.seconds / 60, 0, newResource),
    eventResize: ({ event, endDelta }) => move(event, 0, endDelta.seconds / 60),
    dateClick: ({ dateStr, allDay, resource }) => book(dateStr, allDay, resource),
    select: ({ startStr, endStr, allDay, resource }) => book(startStr, allDay, resource, endStr),
    eventAllUpdated: keepFocus,
  };
}

// By callbacks, so that an answer that comes late is let go.
function load({ startStr, endStr }, take, fail) {
  asked += 1;
  const number = asked;
  const search = query();
  search.delete("view");
  search.delete("date");
  search.set("start", dayOf(startStr));
  search.set("end", dayOf(endStr));
  const headers = background;
  background = {};
  fetch(`${eventsAddress}?${search}`, { headers }).then(async (answer) => {
    if (answer.redirected) return location.reload();
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.sentence);
    if (number === asked) take(found.map(withWalls));
  }).catch((error) => {
    fail(error);
    const text = error instanceof TypeError ? "The server cannot be reached. Check your connection." : error.message;
    document.dispatchEvent(new CustomEvent("toast", { detail: { text } }));
  });
}

// The calendar turns walls into dates of this browser's zone; the text is what counts.
function withWalls(event) {
  const own = { ...event.extendedProps, starts: event.start, ends: event.end };
  return { ...event, startEditable: event.editable, durationEditable: event.editable, extendedProps: own };
}

function element(tag, className, ...inside) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...inside);
  return made;
}

function content({ event, timeText, view }) {
  if (event.classNames.includes("busy-time")) return { domNodes: [busyName(event)] };
  if (event.display === "background") return { domNodes: [element("span", "holiday-name", event.title)] };
  if (event.display === "ghost") return { domNodes: [] };
  if (!event.extendedProps.url) return { domNodes: [element("span", "event-line", timeText)] };
  const { starts, ends, clinician, location, status, telehealth, type, repeats } = event.extendedProps;
  const month = view.type === "dayGridMonth";
  const time = event.display === "preview" ? timeText : month ? hour(starts) : span(starts, ends);
  const where = telehealth && !location ? "Telehealth" : location;
  const struck = event.classNames.includes("event-gone");
  const facts = [month && struck ? "" : status, event.allDay ? "" : time, month ? "" : where];
  const said = [longDay(starts), month && struck ? status : "", clinician, type, repeats ? "one of a series" : ""];
  const button = element(
    "button",
    "event-button",
    element("span", "event-title", event.title),
    element("span", "event-line", facts.filter(Boolean).join(" · ")),
    element("span", "visually-hidden", said.filter(Boolean).join(", ")),
  );
  button.type = "button";
  return { domNodes: [button] };
}

function busyName({ title, extendedProps: { starts, ends } }) {
  return element("span", "busy-name", title, element("span", "visually-hidden", `, ${longDay(starts)}, ${span(starts, ends)}`));
}

// What there may be no room for.
function words({ title: who, allDay, extendedProps: { starts, ends, clinician, type, location, status } = {} }) {
  return [who, allDay ? "" : starts && span(starts, ends), clinician, type, location, status].filter(Boolean).join("\n");
}

// A table of the library's, whose cells hold no events, tells screen readers nothing; our buttons with a name, a time
// and a day do. Hours are written anew, since the library's are wrong where this browser's clocks change today.
function mend() {
  const drawn = place.querySelector(".ec");
  if (!drawn) return;
  drawn.setAttribute("role", "group");
  drawn.setAttribute("aria-label", title());
  for (const part of drawn.querySelectorAll("[role]:not([role='presentation'], [role='button']), aside:not([role]), .ec-event:not([role])")) {
    part.setAttribute("role", "presentation");
    part.removeAttribute("aria-colindex");
    part.removeAttribute("aria-colspan");
  }
  const main = drawn.querySelector(".ec-main");
  if (main) main.tabIndex = 0;
  const ahead = minutesAhead();
  for (const time of drawn.querySelectorAll(".ec-slot time")) {
    const words = hour(time.dateTime);
    if (time.textContent !== words) time.textContent = words;
    time.dataset.yours = ahead ? clock(later(time.dateTime, ahead)) : "";
  }
}

// ======== What people do with it ========

function open(address) {
  focused = document.activeElement?.closest("[data-event]")?.dataset.event;
  document.dispatchEvent(new CustomEvent("open-dialog", { detail: address }));
}

function book(start, allDay, resource, end) {
  const only = state.clinicians.length === 1 ? state.clinicians[0] : "";
  const values = { date: dayOf(start), clinician: resource?.id ?? only };
  if (!allDay) {
    const minutes = end ? (moment(end) - moment(start)) / 60_000 : 0;
    // A click means the half-hour that it is in.
    values.start = end ? start.slice(11, 16) : `${start.slice(11, 13)}:${start.slice(14, 16) < "30" ? "00" : "30"}`;
    if (minutes) values.minutes = minutes;
  }
  const given = Object.entries(values).filter(([, value]) => value !== "");
  open(`${root.dataset.new}?${new URLSearchParams(given)}`);
}

async function move(event, by, longer, resource) {
  const { starts, minutes, url, revision } = event.extendedProps;
  const start = later(starts, by);
  const values = { start: event.allDay ? dayOf(start) : start, minutes: minutes + longer, revision };
  if (resource) values.clinician = resource.id;
  try {
    await htmx.ajax("POST", `${url}/move`, { values, target: "#dialog-body", swap: "innerHTML" });
  } finally {
    // Refused, or asked about and left: it goes back to where it was.
    if (dialog.open) dialog.addEventListener("close", () => refresh(), { once: true });
    else refresh();
  }
}

let focused;

// After the dialog, and after it was drawn anew, the focus is where it was.
function keepFocus() {
  if (!focused || dialog.open || document.activeElement !== document.body) return;
  place.querySelector(`[data-event="${CSS.escape(focused)}"] .event-button`)?.focus();
}

document.addEventListener("schedule-changed", () => refresh());

place?.addEventListener("click", (event) => {
  const { url } = event.target.closest(".ec-event")?.dataset ?? {};
  if (url) open(url);
});

root.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const { look, step: by } = link.dataset;
  const appointment = link.closest("#agenda") && /\/calendar\/\d+$/.test(link.pathname) && !link.hash;
  if (!look && !by && !appointment && link.id !== "new-appointment") return;
  event.preventDefault();
  if (look) {
    change({ view: look });
    link.closest("details")?.removeAttribute("open");
  } else if (by) step(Number(by));
  else if (appointment) open(link.getAttribute("href"));
  else book(state.date, true);
});

document.getElementById("schedule-filters")?.addEventListener("submit", (event) => event.preventDefault());

document.getElementById("schedule-date")?.addEventListener("change", ({ target }) => {
  // Each digit of a year that is typed makes a date.
  if (target.value >= "1970") change({ date: target.value });
});

for (const tick of ticks) tick.addEventListener("change", () => change({}));

document.getElementById("everyone")?.addEventListener("click", () => {
  for (const tick of ticks) tick.checked = false;
  change({});
});

// On paper the hours that are worked, and whatever else is booked.
const hours = (first, last, flexible) => {
  calendar?.setOption("slotMinTime", first).setOption("slotMaxTime", last).setOption("flexibleSlotTimeLimits", flexible);
};
addEventListener("beforeprint", () => hours("08:00", "18:00", true));
addEventListener("afterprint", () => hours("00:00", "24:00", false));

// Someone else may have booked meanwhile.
document.addEventListener("visibilitychange", () => {
  if (place && !document.hidden && !dialog.open) refresh({ "X-Background": "true" });
});

if (place) {
  const asks = new URLSearchParams(location.search);
  if (narrow.matches && !asks.has("view") && !asks.has("from")) state.view = "agenda";
  if (state.view === "agenda" && root.dataset.view === "agenda") showControls();
  else show({ "X-Background": "true" });
}
