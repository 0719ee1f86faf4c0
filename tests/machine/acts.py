"""What people do on the pages: the form that they send, and what it does to the model."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from tests.machine.installation import Entry
from tests.machine.model import Model, Refusal, Row
from tests.machine.people import Form

# What no calendar may ever show.
NOTE = "Canary-of-the-note"
ROOM = "https://video.example.com/canary-of-the-room"


@dataclass(frozen=True)
class Act:
    """`who` sends `form` to `path`; if the product takes it, `effect` happens to the model."""

    who: str
    path: str
    form: Form
    effect: Callable[[Model], list[Entry]]


class Desk:
    """Knows the numbers by which pages call people and calendars."""

    def __init__(
        self, clinicians: dict[str, int], clients: dict[str, int], keys: dict[str, str]
    ) -> None:
        self.clinicians, self.clients, self.keys = clinicians, clients, keys

    # the schedule

    def book(self, who: str, asked: Row) -> Act:
        def effect(model: Model) -> list[Entry]:
            _refuse_strangers(model, who, asked["clients"])
            return model.book(who, **asked)

        return Act(who, "/calendar/new", self._appointment_form(asked), effect)

    def edit(self, who: str, number: int, asked: Row) -> Act:
        def effect(model: Model) -> list[Entry]:
            kept = model.appointments[number]["clients"]
            _refuse_strangers(model, who, [c for c in asked["clients"] if c not in kept])
            return model.edit(who, number, **asked)

        return Act(who, f"/calendar/{number}", self._appointment_form(asked), effect)

    def cancel(self, who: str, number: int, *, late: bool) -> Act:
        form = {"late": "y"} if late else {}
        return Act(who, f"/calendar/{number}/cancel", form, lambda model: model.cancel(who, number))

    def _appointment_form(self, asked: Row) -> dict[str, Any]:
        starts: datetime = asked["starts"]
        return {
            "clinician": self.clinicians[asked["clinician"]],
            "kind": asked["kind"],
            "clients": [self.clients[client] for client in asked["clients"]],
            "date": f"{starts:%Y-%m-%d}",
            "start": f"{starts:%H:%M}",
            "minutes": asked["minutes"],
            "title": asked["title"],
            "location": asked["place"],
            "telehealth_address": ROOM if asked["place"] == "Telehealth" else "",
            "note": NOTE,
            "despite": "Both agreed",
        }

    # the links

    def create_link(self, who: str, calendar: str, label: str, mode: str) -> Act:
        return Act(
            who,
            f"/calendars/{self.keys[calendar]}/links",
            {"label": label, "mode": mode, "confirmed": "y"},
            lambda model: model.create_link(who, calendar, label, mode),
        )

    def change_link(self, who: str, model: Model, number: int, now: datetime, asked: Row) -> Act:
        """The whole form of a link's page, `asked` put in."""
        kept = {
            f: model.links[number][f] for f in ("label", "mode", "place", "time_off", "last_day")
        }
        wanted = kept | asked
        form = {
            "label": wanted["label"],
            "mode": wanted["mode"],
            "telehealth": "none",
            "confirmed": "y",
            "last_day": _written(wanted["last_day"]),
        }
        form |= {"location": "y"} if wanted["place"] else {}
        form |= {"time_off": "y"} if wanted["time_off"] else {}
        path = self._of_link(model, number)
        return Act(who, path, form, lambda model: model.change_link(who, number, now, **wanted))

    def change_mode(self, who: str, model: Model, number: int, now: datetime, mode: str) -> Act:
        return Act(
            who,
            f"{self._of_link(model, number)}/mode",
            {"mode": mode, "confirmed": "y"},
            lambda model: model.change_mode(who, number, now, mode),
        )

    def reset_link(self, who: str, model: Model, number: int, now: datetime) -> Act:
        path = f"{self._of_link(model, number)}/reset"
        return Act(who, path, {}, lambda model: model.reset_link(who, number, now))

    def disable_link(self, who: str, model: Model, number: int, now: datetime) -> Act:
        path = f"{self._of_link(model, number)}/disable"
        return Act(who, path, {}, lambda model: model.disable_link(who, number, now))

    def _of_link(self, model: Model, number: int) -> str:
        return f"/calendars/{self.keys[model.links[number]['calendar']]}/links/{number}"

    # the people and the policy

    def change_ceiling(self, who: str, ceiling: str) -> Act:
        form = {"ceiling": ceiling, "schedulers_share_practice": "y"}
        return Act(who, "/settings/policy", form, lambda model: model.change_ceiling(who, ceiling))

    def change_role(self, who: str, model: Model, name: str, role: str) -> Act:
        user = model.users[name]
        form = {"name": user["name"], "role": role}
        form |= {"sees_clients": "y"} if user["clinician"] else {}
        path = f"/people/users/{user['id']}"
        return Act(who, path, form, lambda model: model.change_role(who, name, role))

    def disable_user(self, who: str, model: Model, name: str) -> Act:
        path = f"/people/users/{model.users[name]['id']}/disable"
        return Act(who, path, {}, lambda model: model.disable_user(who, name))

    def enable_user(self, who: str, model: Model, name: str) -> Act:
        path = f"/people/users/{model.users[name]['id']}/enable"
        return Act(who, path, {}, lambda model: model.enable_user(who, name))


def _refuse_strangers(model: Model, who: str, clients: list[str]) -> None:
    """A clinician books those who have come to see them, and nobody else."""
    user = model.users[who]
    if user["role"] != "clinician":
        return
    seen = {
        client
        for found in model.appointments.values()
        if found["clinician"] == user["clinician"]
        for client in found["clients"]
    }
    if set(clients) - seen:
        raise Refusal


def _written(day: date | None) -> str:
    return day.isoformat() if day else ""
