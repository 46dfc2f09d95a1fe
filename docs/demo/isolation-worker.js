// Service worker: answers the page's own requests with the two headers that isolate it from other origins, which
// WebAssembly threads need, for servers that cannot be told to send them.
self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => {
  if (new URL(event.request.url).origin !== self.location.origin) return;
  event.respondWith(
    fetch(event.request).then((answer) => {
      if (answer.status === 0 || answer.body === null) return answer;
      const headers = new Headers(answer.headers);
      headers.set('Cross-Origin-Opener-Policy', 'same-origin');
      headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
      headers.set('Cross-Origin-Resource-Policy', 'same-origin');
      return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
    }),
  );
});
