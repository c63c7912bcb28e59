// The admin follows the theme that the person chose in the product. Runs before the first paint.
document.documentElement.dataset.theme = document.querySelector('meta[name="theme"]').content;
