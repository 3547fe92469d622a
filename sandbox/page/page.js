"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "class") element.className = value;
      else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };
  const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const size = (bytes) => bytes < 1024 ? `${bytes} B` : bytes < 1048576 ? `${(bytes / 1024).toFixed(1)} KB` : `${(bytes / 1048576).toFixed(1)} MB`;
  const safe = (url) => /^(https?|tg|mailto|tel):/i.test(url) ? url : "#";
  const outward = { target: "_blank", rel: "noopener noreferrer" };
  const post = (path, body) => fetch("/control/" + path, { method: "POST", body: JSON.stringify(body || {}) }).then((r) => r.json());

  const state = {
    channels: new Map(), messages: new Map(), unread: new Map(), channel: null,
    chats: new Map(), letters: new Map(), chat: null, replyTo: null, waiting: new Set(), tgUnread: 0,
  };
  const main = document.querySelector("main");
  const narrow = matchMedia("(max-width: 900px)");
  const shows = (tab) => !narrow.matches || main.dataset.tab === tab;

  // Keeps the list at its end if that is where the reader is.
  const rewrite = (list, items, nothing) => {
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
    list.replaceChildren(...items);
    if (!items.length) list.append(make("li", { class: "empty" }, nothing));
    if (atEnd) list.scrollTop = list.scrollHeight;
  };

  // ---- times
  const units = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const relative = (seconds) => {
    const away = seconds - Date.now() / 1000;
    const [unit, length] = units.find(([, l]) => Math.abs(away) >= l) || units[5];
    return new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(Math.round(away / length), unit);
  };
  const styles = {
    t: { timeStyle: "short" }, T: { timeStyle: "medium" }, d: { dateStyle: "short" }, D: { dateStyle: "long" },
    f: { dateStyle: "long", timeStyle: "short" }, F: { dateStyle: "full", timeStyle: "short" },
  };
  const stamp = (seconds, style) => {
    const date = new Date(seconds * 1000);
    if (isNaN(date)) return make("span", {}, "Invalid date");
    const text = style === "R" ? relative(seconds) : date.toLocaleString([], styles[style] || styles.f);
    return make("time", { class: "stamp", title: date.toLocaleString(), ...(style === "R" ? { "data-relative": seconds } : {}) }, text);
  };
  setInterval(() => {
    for (const each of document.querySelectorAll("[data-relative]")) each.textContent = relative(Number(each.dataset.relative));
  }, 5000);

  // ---- Discord's Markdown, built as nodes: text never becomes HTML
  const spoiler = (inside) => make("span", { class: "spoiler", title: "spoiler", onclick: (e) => e.currentTarget.classList.toggle("seen") }, inside);
  const channelName = (id) => (state.channels.get(id) || {}).name || id;
  const inlineRules = [
    [/^\\([^A-Za-z0-9\s])/, (m) => m[1]],
    [/^``([\s\S]+?)``(?!`)|^`([^`]+)`/, (m) => make("code", {}, m[1] || m[2])],
    [/^<t:(-?\d{1,13})(?::([tTdDfFR]))?>/, (m) => stamp(Number(m[1]), m[2] || "f")],
    [/^<@&(\d+)>/, (m) => make("span", { class: "mention" }, "@role " + m[1])],
    [/^<@!?(\d+)>/, (m) => make("span", { class: "mention" }, "@member-" + m[1])],
    [/^<#(\d+)>/, (m) => make("span", { class: "mention" }, "#" + channelName(m[1]))],
    [/^<a?:(\w+):\d+>/, (m) => ":" + m[1] + ":"],
    [/^<(https?:\/\/[^\s<>]+)>/, (m) => make("a", { href: safe(m[1]), ...outward }, m[1])],
    [/^\[([^\]\n]+)\]\(<?(https?:\/\/[^\s)>]+)>?(?:\s+"[^"]*")?\)/, (m) => make("a", { href: safe(m[2]), title: m[2], ...outward }, inline(m[1]))],
    [/^https?:\/\/[^\s<]+[^\s<.,:;"')\]!?*_~|]/, (m) => make("a", { href: safe(m[0]), ...outward }, m[0])],
    [/^\*\*\*([\s\S]+?)\*\*\*/, (m) => make("b", {}, make("i", {}, inline(m[1])))],
    [/^\*\*([\s\S]+?)\*\*(?!\*)/, (m) => make("b", {}, inline(m[1]))],
    [/^__([\s\S]+?)__(?!_)/, (m) => make("u", {}, inline(m[1]))],
    [/^~~([\s\S]+?)~~/, (m) => make("s", {}, inline(m[1]))],
    [/^\|\|([\s\S]+?)\|\|/, (m) => spoiler(inline(m[1]))],
    [/^\*(?!\s)([\s\S]+?)(?<!\s)\*(?!\*)/, (m) => make("i", {}, inline(m[1]))],
    [/^_(?!\s)([\s\S]+?)_(?![_A-Za-z0-9])/, (m) => make("i", {}, inline(m[1]))],
    [/^@(?:everyone|here)\b/, (m) => make("span", { class: "mention" }, m[0])],
  ];
  const inline = (text) => {
    const out = document.createDocumentFragment();
    let plain = "";
    const flush = () => { if (plain) out.append(plain); plain = ""; };
    while (text) {
      let taken = null;
      if (/^[\\`<[h*_~|@]/.test(text) && !(text[0] === "_" && /\w$/.test(plain))) {
        for (const [rule, build] of inlineRules) {
          const match = rule.exec(text);
          if (match) { flush(); out.append(build(match)); taken = match[0].length; break; }
        }
      }
      if (taken === null) { taken = text.codePointAt(0) > 0xffff ? 2 : 1; plain += text.slice(0, taken); }
      text = text.slice(taken);
    }
    flush();
    return out;
  };
  const markdown = (source) => {
    const out = make("div", { class: "text" });
    const pieces = source.split(/```(?:([a-zA-Z0-9_+\-.]+)\n)?\n?([\s\S]*?)\n?```/);
    for (let i = 0; i < pieces.length; i += 3) {
      if (pieces[i]) lines(out, pieces[i].replace(/^\n/, i ? "" : "\n"));
      if (i + 2 < pieces.length) out.append(make("pre", {}, make("code", {}, pieces[i + 2])));
    }
    return out;
  };
  const lines = (out, text) => {
    const all = text.split("\n");
    let run = [];
    const flush = () => { if (run.length) out.append(inline(run.join("\n"))); run = []; };
    for (let i = 0; i < all.length; ++i) {
      const heading = /^(#{1,3}) +(.+)/.exec(all[i]), small = /^-# +(.+)/.exec(all[i]);
      if (heading) { flush(); out.append(make("h" + heading[1].length, {}, inline(heading[2]))); continue; }
      if (small) { flush(); out.append(make("div", { class: "small" }, inline(small[1]))); continue; }
      if (/^>>> /.test(all[i])) {
        flush();
        out.append(make("blockquote", {}, inline([all[i].slice(4), ...all.slice(i + 1)].join("\n"))));
        return;
      }
      if (/^> /.test(all[i])) {
        flush();
        const quoted = [];
        while (i < all.length && /^> /.test(all[i])) quoted.push(all[i++].slice(2));
        --i;
        out.append(make("blockquote", {}, inline(quoted.join("\n"))));
        continue;
      }
      const bullet = /^\s*[-*] +(.+)/, number = /^\s*(\d+)\. +(.+)/;
      if (bullet.test(all[i])) {
        flush();
        const list = make("ul");
        for (; i < all.length && bullet.test(all[i]); ++i) list.append(make("li", {}, inline(bullet.exec(all[i])[1])));
        --i;
        out.append(list);
        continue;
      }
      if (number.test(all[i])) {
        flush();
        const list = make("ol", { start: number.exec(all[i])[1] });
        for (; i < all.length && number.test(all[i]); ++i) list.append(make("li", {}, inline(number.exec(all[i])[2])));
        --i;
        out.append(list);
        continue;
      }
      run.push(all[i]);
    }
    flush();
  };

  // ---- Discord
  const embed = (data) => {
    const box = make("div", { class: "embed" });
    if (Number.isInteger(data.color)) box.style.setProperty("--bar", "#" + data.color.toString(16).padStart(6, "0"));
    if (data.author) box.append(make("div", { class: "author" }, data.author.name || ""));
    if (data.title) box.append(make("div", { class: "title" }, data.url ? make("a", { href: safe(data.url), ...outward }, inline(data.title)) : inline(data.title)));
    if (data.description) box.append(make("div", { class: "body" }, markdown(data.description)));
    if (data.fields && data.fields.length) {
      box.append(make("div", { class: "fields" }, ...data.fields.map((field) =>
        make("div", { class: field.inline ? "inline" : "" }, make("b", {}, inline(field.name)), markdown(field.value)))));
    }
    const foot = [data.footer && data.footer.text, data.timestamp && new Date(data.timestamp).toLocaleString()].filter(Boolean);
    if (foot.length) box.append(make("div", { class: "foot" }, foot.join(" • ")));
    return box;
  };
  const messageView = (message) => {
    const at = new Date(message.timestamp);
    if (message.type === 6 || message.type === 18) {
      const what = message.type === 6 ? "pinned a message to this channel." : `started a thread: ${message.content}`;
      return make("li", {}, make("span"), make("div", { class: "event" }, make("b", {}, message.author.username), " " + what));
    }
    const pings = message.mention_everyone || message.mentions.length || message.mention_roles.length;
    const body = make("div", {},
      make("div", { class: "who" }, make("strong", {}, message.author.username),
        make("span", { class: "tag" }, message.webhook_id ? "WEBHOOK" : "APP"),
        make("time", { title: at.toLocaleString() }, at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" })),
        message.flags & 4096 ? make("small", { title: "arrived without a notification" }, "🔕") : null,
        message.pinned ? make("small", { title: "pinned" }, "📌") : null,
        message.edited_timestamp ? make("small", {}, "(edited)") : null,
        pings ? make("small", {}, "pinged people") : null));
    if (message.content) body.append(markdown(message.content));
    if (!(message.flags & 4)) body.append(...message.embeds.map(embed));
    for (const file of message.attachments) {
      const path = new URL(file.url, location.href).pathname;
      body.append(make("div", { class: "attached" }, "📄", make("div", {}, make("a", { href: path, download: file.filename }, file.filename), make("small", {}, size(file.size) + (file.description ? " — " + file.description : "")))));
    }
    for (const row of message.components || []) {
      body.append(make("div", { class: "parts" }, ...(row.components || []).map((part) => make("span", {}, part.label || part.placeholder || "component"))));
    }
    if (message.thread) body.append(make("button", { class: "to-thread", type: "button", onclick: () => openChannel(message.thread.id) }, "🧵 " + message.thread.name));
    return make("li", { class: pings ? "pinged" : "", "data-id": message.id }, make("span", { class: "avatar" }, (message.author.username[0] || "?").toUpperCase()), body);
  };
  const inChannel = (id) => [...state.messages.values()].filter((m) => m.channel_id === id)
    .sort((a, b) => a.id.length - b.id.length || (a.id < b.id ? -1 : 1));
  const drawMessages = () => {
    const channel = state.channels.get(state.channel);
    const all = channel ? inChannel(channel.id).slice(-300) : [];
    $("channel-name").textContent = channel ? (channel.type >= 10 ? "🧵 " : "# ") + channel.name : "No channel yet";
    $("channel-note").textContent = channel ? `${channel.id} · ${all.length} message${all.length === 1 ? "" : "s"}` : "";
    rewrite($("messages"), all.map(messageView), channel ? "Nothing here yet." : "Channels appear with their first message.");
  };
  const drawChannels = () => {
    const all = [...state.channels.values()];
    const order = (a, b) => a.id.length - b.id.length || (a.id < b.id ? -1 : 1);
    const items = [];
    const entry = (channel, thread) => {
      const unread = state.unread.get(channel.id) || 0;
      items.push(make("li", { class: thread ? "thread" : "" }, make("button", {
        type: "button", class: unread ? "unread" : "", "aria-current": String(channel.id === state.channel),
        title: channel.id, onclick: () => openChannel(channel.id),
      }, thread ? "↳" : "#", make("span", {}, channel.name), unread ? make("b", { class: "count" }, String(unread)) : null)));
    };
    for (const channel of all.filter((c) => !c.parent_id).sort(order)) {
      entry(channel, false);
      for (const thread of all.filter((c) => c.parent_id === channel.id).sort(order)) entry(thread, true);
    }
    $("channels").replaceChildren(...items);
    count("discord", [...state.unread.values()].reduce((a, b) => a + b, 0));
  };
  const openChannel = (id) => {
    state.channel = id;
    state.unread.delete(id);
    drawChannels();
    drawMessages();
    $("messages").scrollTop = $("messages").scrollHeight;
  };

  // ---- Telegram's entities, as nested nodes
  const entityNode = (entity, inside, text) => {
    switch (entity.type) {
      case "bold": return make("b", {}, inside);
      case "italic": return make("i", {}, inside);
      case "underline": return make("u", {}, inside);
      case "strikethrough": return make("s", {}, inside);
      case "spoiler": return spoiler(inside);
      case "code": return make("code", {}, inside);
      case "pre": return make("pre", { title: entity.language }, make("code", {}, inside));
      case "blockquote": case "expandable_blockquote": return make("blockquote", {}, inside);
      case "text_link": return make("a", { href: safe(entity.url), title: entity.url, ...outward }, inside);
      case "url": return make("a", { href: safe(text), ...outward }, inside);
      case "bot_command": case "mention": case "text_mention": return make("span", { class: "mention" }, inside);
      default: return make("span", {}, inside);
    }
  };
  const marked = (text, entities, from = 0, to = text.length) => {
    const out = document.createDocumentFragment();
    let at = from;
    for (let i = 0; i < entities.length; ++i) {
      const { offset, length } = entities[i];
      if (offset < at || offset >= to) continue;
      const end = Math.min(offset + length, to);
      out.append(text.slice(at, offset));
      out.append(entityNode(entities[i], marked(text, entities.slice(i + 1), offset, end), text.slice(offset, end)));
      at = end;
      if (/^(pre|.*blockquote)$/.test(entities[i].type) && text[at] === "\n" && at < to) ++at;  // a block ends its line itself
    }
    out.append(text.slice(at, to));
    return out;
  };
  const keys = (message) => {
    const rows = (message.reply_markup && message.reply_markup.inline_keyboard) || [];
    if (!rows.length) return null;
    return make("div", { class: "keys" }, ...rows.map((row) => make("div", {}, ...row.map((key) => key.url
      ? make("a", { href: safe(key.url), class: key.style || "", ...outward }, key.text + " ↗")
      : make("button", {
        type: "button", class: `${key.style || ""} ${state.waiting.has(message.message_id + key.callback_data) ? "waiting" : ""}`,
        onclick: (event) => press(message, key, event.currentTarget),
      }, key.text)))));
  };
  const press = async (message, key, button) => {
    button.classList.add("waiting");
    const answer = await post("telegram/press", { message_id: message.message_id, chat_id: message.chat.id, data: key.callback_data || "" });
    if (answer.error) toast(answer.error);
    setTimeout(() => button.classList.remove("waiting"), 4000);
  };
  let toastTimer = 0;
  const toast = (text) => {
    $("toast").textContent = text;
    $("toast").hidden = false;
    clearTimeout(toastTimer);
    toastTimer = setTimeout(() => { $("toast").hidden = true; }, 4000);
  };
  const letterView = (message) => {
    const own = message.sandbox.from_operator;
    const text = message.text ?? message.caption ?? "";
    const entities = message.entities || message.caption_entities || [];
    const bubble = make("div", { class: "bubble" });
    if (message.reply_to_message) {
      const quoted = message.reply_to_message;
      bubble.append(make("span", { class: "quote" }, quoted.text || quoted.caption || "document"));
    }
    if (message.document) {
      const path = `/telegram/file/bot/documents/${encodeURIComponent(message.document.file_id)}`;
      bubble.append(make("a", { class: "file", href: path, download: message.document.file_name }, make("i", {}, "📄"),
        make("span", {}, message.document.file_name, make("small", {}, size(message.document.file_size)))));
    }
    bubble.append(marked(text, entities));
    const notes = [message.sandbox.pinned && "📌", message.sandbox.silent && "🔕", message.edit_date && "edited", clock(message.date)].filter(Boolean);
    bubble.append(make("span", { class: "meta", title: new Date(message.date * 1000).toLocaleString() + (message.sandbox.silent ? ", silent" : "") }, notes.join(" ")));
    if (!own) bubble.append(make("button", { class: "answer", type: "button", title: "Reply to this message", "aria-label": "Reply to this message", onclick: () => replyTo(message) }, "↩"));
    return make("li", { class: own ? "mine" : "", "data-id": String(message.message_id) }, bubble, keys(message),
      message.sandbox.reaction ? make("span", { class: "reaction" }, message.sandbox.reaction) : null);
  };
  const replyTo = (message) => {
    state.replyTo = message ? message.message_id : null;
    $("replying").hidden = !message;
    if (message) {
      $("replying").querySelector("span").textContent = "Reply to: " + (message.text || message.caption || "document");
      $("write").elements.text.focus();
    }
  };
  const drawChat = () => {
    const chats = [...state.chats.values()];
    const chat = state.chats.get(state.chat);
    $("chats").hidden = chats.length < 2;
    $("chats").replaceChildren(...chats.map((c) => make("option", { value: c.id, selected: c.id === state.chat }, c.title || String(c.id))));
    $("chat-name").textContent = chat && chat.title ? chat.title : "Detent";
    $("chat-note").textContent = chat ? (chat.type === "private" ? "bot" : chat.type) : "bot";
    const all = [...state.letters.values()].filter((m) => m.chat.id === state.chat).sort((a, b) => a.message_id - b.message_id).slice(-300);
    rewrite($("chat"), all.map(letterView), "Only what needs you arrives here.");
    count("telegram", state.tgUnread);
  };
  $("chats").addEventListener("change", (event) => { state.chat = Number(event.target.value); replyTo(null); drawChat(); });
  $("replying").querySelector("button").addEventListener("click", () => replyTo(null));
  $("write").addEventListener("submit", async (event) => {
    event.preventDefault();
    const field = event.target.elements.text, text = field.value.trim();
    if (!text) return;
    field.value = "";
    const body = { text, reply_to: state.replyTo || 0 };
    if (state.chat) body.chat_id = state.chat;
    replyTo(null);
    const answer = await post("telegram/send", body);
    if (answer.error) toast(answer.error);
  });

  // ---- tabs and the header
  const count = (tab, number) => {
    const badge = $("tab-" + tab).querySelector(".count");
    badge.hidden = !number;
    badge.textContent = number > 99 ? "99+" : String(number);
  };
  for (const tab of ["telegram", "discord"]) {
    $("tab-" + tab).addEventListener("click", () => {
      main.dataset.tab = tab;
      for (const each of ["telegram", "discord"]) $("tab-" + each).setAttribute("aria-selected", String(each === tab));
      if (tab === "telegram") state.tgUnread = 0;
      if (tab === "discord" && state.channel) openChannel(state.channel);
      drawChat();
      for (const list of [$("chat"), $("messages")]) list.scrollTop = list.scrollHeight;
    });
  }
  $("reset").addEventListener("click", () => { if (confirm("Clear all messages and faults?")) post("reset"); });

  // ---- changes, gathered for one drawing a frame
  const dirty = new Set();
  const touch = (what) => {
    if (!dirty.size) requestAnimationFrame(() => {
      const parts = [...dirty];
      dirty.clear();
      if (parts.includes("channels")) drawChannels();
      if (parts.includes("messages")) drawMessages();
      if (parts.includes("chat")) drawChat();
    });
    dirty.add(what);
  };
  const arrive = (change) => {
    switch (change.type) {
      case "discord.channel":
        state.channels.set(change.channel.id, change.channel);
        if (!state.channel) state.channel = change.channel.id;
        touch("channels");
        break;
      case "discord.message": {
        const message = change.message, known = state.messages.has(message.id);
        state.messages.set(message.id, message);
        if (!known && (message.channel_id !== state.channel || !shows("discord"))) {
          state.unread.set(message.channel_id, (state.unread.get(message.channel_id) || 0) + 1);
          touch("channels");
        }
        if (message.channel_id === state.channel) touch("messages");
        break;
      }
      case "discord.delete": state.messages.delete(change.message_id); touch("messages"); break;
      case "telegram.chat":
        state.chats.set(change.chat.id, change.chat);
        if (!state.chat) state.chat = change.chat.id;
        touch("chat");
        break;
      case "telegram.message":
        if (!state.letters.has(change.message.message_id) && !change.message.sandbox.from_operator && !shows("telegram")) ++state.tgUnread;
        state.letters.set(change.message.message_id, change.message);
        touch("chat");
        break;
      case "telegram.delete": state.letters.delete(change.message_id); touch("chat"); break;
      case "telegram.answer": if (change.text) change.alert ? alert(change.text) : toast(change.text); break;
      case "reset": load(); break;
    }
  };
  const load = async () => {
    const all = await (await fetch("/control/state")).json();
    const before = new Set(state.messages.keys()), first = state.messages.size === 0;
    state.channels = new Map(all.discord.channels.map((c) => [c.id, c]));
    state.messages = new Map(all.discord.messages.map((m) => [m.id, m]));
    state.chats = new Map(all.telegram.chats.map((c) => [c.id, c]));
    state.letters = new Map(all.telegram.messages.map((m) => [m.message_id, m]));
    if (!state.channels.has(state.channel)) state.channel = all.discord.channels.length ? all.discord.channels[0].id : null;
    if (!state.chats.has(state.chat)) state.chat = state.chats.has(all.telegram.front) ? all.telegram.front : (all.telegram.chats[0] || {}).id ?? null;
    for (const id of [...state.unread.keys()]) if (!state.channels.has(id)) state.unread.delete(id);
    for (const message of first ? [] : all.discord.messages) {
      if (!before.has(message.id) && message.channel_id !== state.channel) state.unread.set(message.channel_id, (state.unread.get(message.channel_id) || 0) + 1);
    }
    touch("channels"); touch("messages"); touch("chat");
  };

  // ---- live, by events; where those do not come through, by asking again
  let polling = 0;
  const say = (text, live) => { $("link").textContent = text; $("link").dataset.state = live ? "live" : "waiting"; };
  const poll = () => {
    if (polling) return;
    polling = setInterval(() => load().then(() => say("asking every 2 s", true), () => say("not reachable", false)), 2000);
  };
  const listen = () => {
    if (!window.EventSource) return poll();
    const events = new EventSource("/control/events");
    events.onopen = () => { clearInterval(polling); polling = 0; say("live", true); load().catch(() => {}); };
    events.onmessage = (event) => arrive(JSON.parse(event.data));
    events.onerror = () => { say("reconnecting", false); poll(); if (events.readyState === EventSource.CLOSED) setTimeout(listen, 5000); };
  };
  drawChat();
  drawMessages();
  load().catch(() => {}).finally(listen);
})();
