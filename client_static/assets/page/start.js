// @ts-check

/**
 * Start the page. If a module of it can't be loaded, or it breaks while it starts, say so: a page that does nothing
 * must not look as if it did. Where even this module does not come, the stylesheet shows the same after a while.
 */
import("./main.js").catch((error) => {
  const loading = document.getElementById("loading");
  if (loading) {
    loading.hidden = false;
    loading.classList.add("failed");
  }
  throw error;
});
