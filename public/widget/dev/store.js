// What this browser keeps, under the address of the API: two books on one host do not mix.
//
// Storage can be full, forbidden or damaged. Then this page remembers, and the next forgets.

export function createStore(api) {
  const memory = new Map();
  const name = (key) => `textbook-chat/${api}/${key}`;

  // `area`: localStorage, or sessionStorage for what belongs to this tab. False: there is no room.
  function write(key, value, area = 'localStorage') {
    memory.set(key, value);
    try {
      if (value == null) window[area].removeItem(name(key));
      else window[area].setItem(name(key), JSON.stringify(value));
      return true;
    } catch (error) {
      return error?.name !== 'QuotaExceededError'; // where nothing may be kept, less would not help
    }
  }

  function read(key, area = 'localStorage') {
    try {
      return JSON.parse(window[area].getItem(name(key)));
    } catch {
      return memory.get(key) ?? null;
    }
  }

  return { name, read, write };
}

// crypto.randomUUID is missing on pages without https, such as a test on the local network.
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
