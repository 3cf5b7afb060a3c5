// subscriptions/listen: requests that stay open, and what their clients want to hear.
const LISTS = {
  toolsListChanged: 'notifications/tools/list_changed',
  promptsListChanged: 'notifications/prompts/list_changed',
  resourcesListChanged: 'notifications/resources/list_changed',
};

export class Subscriptions {
  #open = new Map();

  constructor(server) {
    this.server = server;
  }

  open(call) {
    const asked = call.params.notifications ?? {};
    const granted = {};
    for (const name of Object.keys(LISTS)) if (asked[name] === true) granted[name] = true;
    if (Array.isArray(asked.resourceSubscriptions)) granted.resourceSubscriptions = asked.resourceSubscriptions;
    this.#open.set(call.id, granted);
    this.#send(call.id, 'notifications/subscriptions/acknowledged', { notifications: granted });
  }

  close(id) {
    this.#open.delete(id);
  }

  has(id) {
    return this.#open.has(id);
  }

  tell(method, params) {
    for (const [id, granted] of this.#open) {
      const listed = Object.entries(LISTS).some(([name, told]) => told === method && granted[name]);
      if (listed || granted.resourceSubscriptions?.includes(params?.uri)) this.#send(id, method, params);
    }
  }

  #send(id, method, params) {
    this.server.notify(method, { _meta: { 'io.modelcontextprotocol/subscriptionId': id }, ...params });
  }
}
